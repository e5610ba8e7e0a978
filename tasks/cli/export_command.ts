import { choice, OptionError, type OptionSpec, text } from "../options/kinds.ts";
import { OPTIONS, type Options } from "../options/table.ts";
import {
  type ExportedFile,
  exportGraph,
  type ExportOptions,
  GRAPH_OPTIONS,
  GRAPHS,
  TARGETS,
} from "../export.ts";
import { checkFile } from "./check_file.ts";
import type { CommandSpec } from "./command_line.ts";

const GRAPH = "The graph";

const OWN = {
  check: text({
    flag: "--check",
    group: GRAPH,
    help: "instead of exporting, say of an ONNX file (path or URL) which of its operators have a " +
      "gradient and run on WebGPU, and what keeps it from being trained; exit code 1 if something does",
    default: null,
    defaultText: "none",
    placeholder: "file",
  }),
  graph: choice({
    flag: "--graph",
    group: GRAPH,
    help: "input to logits; or to the loss and its gradients; or a whole training step; or the " +
      "measures of an evaluation",
    choices: GRAPHS,
    default: GRAPHS[0],
  }),
  target: choice({
    flag: "--target",
    group: GRAPH,
    help: "the engine whose favourite operators it is written in; portable is standard ONNX alone",
    choices: TARGETS,
    default: TARGETS[0],
  }),
  out: text({
    flag: "--out",
    group: GRAPH,
    help: "the file to write; one that ends in .safetensors gets the weights alone, as PyTorch's " +
      "state dict",
    default: null,
    defaultText: "<model>-<graph>.onnx, which must not be there",
    placeholder: "file",
  }),
  weights: {
    ...OPTIONS.weights,
    help: "weights to put inside: a safetensors file (path or URL) with PyTorch's names, or the " +
      "folder of a run, which also says what network they belong to",
    defaultText: "none, they are inputs; of a network's file: its own",
  },
} as const;

const REST = {
  vocabulary: {
    ...OPTIONS.vocabulary,
    group: GRAPH,
    help: "different tokens that a language model knows",
    defaultText: "those of the weights or the run; without them 10000, Penn Treebank's words",
  },
  seed: {
    ...OPTIONS.seed,
    help: "decides the weights in a .safetensors file where no others are given",
  },
  json: { ...OPTIONS.json, help: "print what was written, or the report of --check, as JSON" },
} as const;

/** What the command line may say. */
type Given = ExportOptions & Partial<Pick<Options, "json">> & { check?: string };

/** `export`: writes a graph of a network as an ONNX file, or examines one. */
export const exportCommand: CommandSpec = {
  name: "export",
  summary: "write a network's graph as an ONNX file, or say what becomes of one in training",
  options: {
    ...OWN,
    ...Object.fromEntries(
      GRAPH_OPTIONS.map((name): [string, OptionSpec<unknown>] => [name, OPTIONS[name]]),
    ),
    ...REST,
  },
  async run(given) {
    const { check, json = false, ...options }: Given = given;
    if (check !== undefined) {
      const { loss = null, dims = null, target = "portable", ...others } = options;
      const [idle] = Object.keys(others) as (keyof typeof others)[];
      if (idle !== undefined) {
        const { flag } = { ...OPTIONS, ...OWN, ...REST }[idle];
        throw new OptionError(`--check writes nothing, so ${flag} has no effect: leave it out`);
      }
      return await checkFile(check, { loss, dims, json, target });
    }
    const written = await exportGraph(options);
    console.log(json ? JSON.stringify(written, null, 2) : describe(written));
    return 0;
  },
};

/** One line: of each list the first few names, and how many more there are. */
function describe({ file, bytes, ...lists }: ExportedFile): string {
  const texts = Object.entries(lists).filter(([, all]) => all.length > 0).map(([what, all]) => {
    const more = all.length - 3;
    return `${what} ${all.slice(0, 3).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  });
  return `${file}: ${bytes} bytes; ${texts.join("; ")}`;
}
