import { integer, OptionError, text, toggle } from "../options/kinds.ts";
import { LogError } from "../logs/log_error.ts";
import { report, titleOf } from "../report/report.ts";
import { watchReport } from "../report/watch.ts";
import type { CommandSpec } from "./command_line.ts";

const PAGE = "The page";

const OPTIONS = {
  out: text({
    flag: "--out",
    group: PAGE,
    help: "the page",
    default: null,
    defaultText: "report.html in the first folder",
    placeholder: "file",
  }),
  title: text({
    flag: "--title",
    group: PAGE,
    help: "its heading",
    default: null,
    defaultText: "the folders' names",
    placeholder: "text",
  }),
  images: toggle({
    flag: "--images",
    group: PAGE,
    help: "write each figure as SVG and PNG too, into a folder beside the page",
  }),
  csv: toggle({
    flag: "--csv",
    group: PAGE,
    help: "write the runs' steps, rounds and evaluations as CSV too, beside the page",
  }),
  watch: toggle({
    flag: "--watch",
    group: PAGE,
    help: "write nothing; serve the page on loopback and keep it fresh as the runs go on",
  }),
  port: integer({
    flag: "--port",
    group: PAGE,
    help: "where --watch serves it",
    from: 0,
    to: 65535,
    default: 0,
    defaultText: "any that is free",
  }),
} as const;

/** `report DIR…`: the paper's figures from runs' logs, on one page. */
export const reportCommand: CommandSpec = {
  name: "report",
  summary: "draw the paper's figures from the logs of runs, going or finished, on one HTML page",
  operands: "<dirs...>",
  epilogue: "DIR is the folder of a run, or of a sweep, whose runs are overlaid.",
  options: OPTIONS,
  async run(given, directories) {
    const { out, title, images, csv, watch, port } = given as {
      out?: string;
      title?: string;
      images?: boolean;
      csv?: boolean;
      watch?: boolean;
      port?: number;
    };
    const writes = images ? "--images" : csv ? "--csv" : out === undefined ? null : "--out";
    if (watch && writes !== null) {
      throw new OptionError(`--watch writes nothing, so it does not go with ${writes}`);
    }
    if (port !== undefined && !watch) throw new OptionError("--port goes with --watch");
    try {
      return watch
        ? await serve(directories, title ?? titleOf(directories), port)
        : await write(directories, { out, title, images, csv });
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      console.error(`celgc: ${error.message}`);
      return 1;
    }
  },
};

async function write(
  directories: readonly string[],
  options: { out?: string; title?: string; images?: boolean; csv?: boolean },
): Promise<number> {
  const { page, images, csv, problems } = await report(directories, options);
  for (const problem of problems) console.error(`celgc: ${problem}`);
  console.log(page);
  for (const { svg, png } of images) console.log(`${svg}\n${png}`);
  for (const path of csv) console.log(path);
  return 0;
}

/** Serves until the process is interrupted. */
async function serve(directories: readonly string[], title: string, port?: number) {
  await using server = await watchReport(directories, { title, port });
  console.log(server.url);
  const stop = () => void server[Symbol.asyncDispose]();
  Deno.addSignalListener("SIGINT", stop);
  await server.finished;
  Deno.removeSignalListener("SIGINT", stop);
  return 0;
}
