import { encodeModel } from "../../models/mod.ts";
import {
  evalGraph,
  findModel,
  forwardGraph,
  gradientsGraph,
  type JobGraph,
  stepGraph,
} from "../graphs.ts";
import { choice, OptionError, text } from "../option.ts";
import { OPTIONS, type Options } from "../options.ts";
import { algorithmOf, resolveOptions } from "../resolve.ts";
import type { CommandSpec } from "./command_line.ts";

const GRAPH = "The graph";
const GRAPHS = ["forward", "gradients", "step", "eval"] as const;
const TARGETS = ["portable", "cpu", "wasm", "webgpu"] as const;

/** The options of a run that decide what its graphs are. */
const { model, batchSize, algorithm, clipBy, momentum, dampening, nesterov, weightDecay } = OPTIONS;

const EXPORT_OPTIONS = {
  graph: choice({
    flag: "--graph",
    group: GRAPH,
    help: "input to logits; or to the loss and its gradients; or a whole training step; or the " +
      "measures of an evaluation",
    choices: GRAPHS,
    default: "forward",
  }),
  target: choice({
    flag: "--target",
    group: GRAPH,
    help: "the engine whose favourite operators it is written in; portable is standard ONNX alone",
    choices: TARGETS,
    default: "portable",
  }),
  out: text({
    flag: "--out",
    group: GRAPH,
    help: "the file to write",
    default: null,
    defaultText: "<model>-<graph>.onnx",
    placeholder: "file",
  }),
  model,
  batchSize,
  algorithm,
  clipBy,
  momentum,
  dampening,
  nesterov,
  weightDecay,
} as const;

interface ExportOptions extends Partial<Options> {
  graph?: typeof GRAPHS[number];
  target?: typeof TARGETS[number];
}

/** `export`: writes a graph of a network as an ONNX file. */
export const exportCommand: CommandSpec = {
  name: "export",
  summary: "write a network's graph as an ONNX file, its weights as inputs",
  options: EXPORT_OPTIONS,
  async run({ graph: kind = "forward", target = "portable", out, ...given }: ExportOptions) {
    const options = resolveOptions(given);
    const { graph } = build(kind, options);
    const bytes = encodeModel(graph, { target, metadata: { model: options.model, graph: kind } });
    const path = out ?? `${options.model}-${kind}.onnx`;
    await Deno.writeFile(path, bytes).catch((cause) => {
      throw new OptionError(`--out ${path} cannot be written: ${cause.message}`, { cause });
    });
    console.log(
      `${path}: ${bytes.length} bytes; inputs ${names(graph.inputs)}; outputs ${
        names(graph.outputs)
      }`,
    );
    return 0;
  },
};

/** The first few names, and how many more there are. */
function names(values: ReadonlyMap<string, unknown>): string {
  const shown = [...values.keys()].slice(0, 3), more = values.size - shown.length;
  return shown.join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function build(kind: typeof GRAPHS[number], options: Options): JobGraph {
  const model = findModel(options.model), shape = { batchSize: options.batchSize };
  switch (kind) {
    case "forward":
      return forwardGraph(model, shape);
    case "gradients":
      return gradientsGraph(model, shape);
    case "step":
      return stepGraph(model, shape, algorithmOf(options).update);
    case "eval":
      return evalGraph(model, shape);
  }
}
