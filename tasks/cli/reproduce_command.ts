import { join } from "node:path";
import { signalCode } from "../../runtime/launcher/interrupts.ts";
import { viewKind } from "../launch/view.ts";
import { OptionError, real, text, toggle } from "../options/kinds.ts";
import { FIGURES } from "../reproduce/figures.ts";
import { reproduce } from "../reproduce/reproduce.ts";
import type { CommandSpec } from "./command_line.ts";

const RUNS = "The runs", PAGE = "The page";

const DEFAULTS = { data: "data", out: join("runs", "reproduce"), scale: 1 } as const;

const OPTIONS = {
  data: text({
    flag: "--data",
    group: RUNS,
    help: "folder that holds the data sets' folders: cifar10, ptb, wikitext2",
    default: DEFAULTS.data,
    placeholder: "dir",
  }),
  download: toggle({
    flag: "--download",
    group: RUNS,
    help: "fetch what is not there of the data sets that the figures need",
  }),
  scale: real({
    flag: "--scale",
    group: RUNS,
    help: "share of the epochs that each run has",
    over: 0,
    default: DEFAULTS.scale,
  }),
  out: text({
    flag: "--out",
    group: RUNS,
    help: "folder of the runs; those that are finished in it are not run again",
    default: DEFAULTS.out,
    placeholder: "dir",
  }),
  draw: toggle({
    flag: "--draw",
    group: RUNS,
    help: "run nothing; draw what is finished",
  }),
  page: text({
    flag: "--page",
    group: PAGE,
    help: "folder of the page, its figures (SVG) and its numbers (CSV)",
    default: null,
    defaultText: "page in the folder of the runs",
    placeholder: "dir",
  }),
  note: text({
    flag: "--note",
    group: PAGE,
    help: "sentences for the page, about data and machine",
    default: null,
    defaultText: "none",
    placeholder: "text",
  }),
  quiet: toggle({ flag: "--quiet", group: PAGE, help: "show no progress" }),
} as const;

/** `reproduce [FIGURE…]`: the paper's figures from runs that are made where they are missing. */
export const reproduceCommand: CommandSpec = {
  name: "reproduce",
  summary: "run what the paper's figures need, and draw them on one page",
  operands: "[figures...]",
  epilogue: `FIGURE is one of ${FIGURES.map(({ name }) => name).join(", ")}; all if none is given.
What was interrupted goes on with the same command. The runs are those of deno task sweep, whose commands
the page names under each figure.`,
  options: OPTIONS,
  async run(given, figures) {
    const { data, download, scale, out, draw, page, note, quiet } = given as {
      data?: string;
      download?: boolean;
      scale?: number;
      out?: string;
      draw?: boolean;
      page?: string;
      note?: string;
      quiet?: boolean;
    };
    if (draw && quiet) throw new OptionError("--draw shows no progress, so --quiet has no effect");
    if (draw && download) throw new OptionError("--draw runs nothing, so --download has no effect");
    const runs = out ?? DEFAULTS.out, folder = page ?? join(runs, "page");
    const { missing, failed, interrupted } = await reproduce({
      figures,
      data: data ?? DEFAULTS.data,
      download: download ?? false,
      scale: scale ?? DEFAULTS.scale,
      out: runs,
      page: folder,
      draw: draw ?? false,
      note: note ?? "",
      view: viewKind(quiet ?? false),
      say: (line) => quiet || console.error(line),
    });
    console.log(join(folder, "README.md"));
    if (interrupted !== null) {
      console.error(`celgc: ended by ${interrupted}; the same command goes on`);
      return signalCode(interrupted);
    }
    for (const message of failed) console.error(`celgc: ${message}`);
    if (missing > 0) console.error(`celgc: ${missing} of the figures' runs are not finished`);
    return failed.length > 0 ? 1 : 0;
  },
};
