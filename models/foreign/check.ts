/**
 * Says of an ONNX file, before anything is trained, which of its operators have a gradient, which run on
 * WebGPU, and what is in the way.
 *
 * @module
 */

import { differentiate } from "../autodiff.ts";
import type { Graph } from "../graph.ts";
import { encodeModel } from "../encode.ts";
import { lower, type Target } from "../lowering/mod.ts";
import { parametersOf } from "../model.ts";
import { findOperator, operatorCoverage } from "../ops/mod.ts";
import { sizeOf } from "../tensor.ts";
import type { Device } from "../../runtime/devices/device.ts";
import { ARITHMETIC, constantNodes, findVariables } from "./_variables.ts";
import { batchSymbol } from "./_build.ts";
import { foreignModel } from "./model.ts";
import type { ForeignModelOptions } from "./options.ts";
import { NEWEST_OPSET, readOnnxFile } from "./file/onnx_file.ts";
import { OnnxGraph, type OnnxInput, type OnnxModel, type OnnxNode } from "./file/onnx_graph.ts";

/** One operator of a file. */
export interface OperatorReport {
  /** Operators outside the standard are prefixed by their domain and a dot. */
  readonly op: string;
  /** How many nodes apply it. */
  readonly count: number;
  /** Whether it is known here at all. */
  readonly known: boolean;
  /** Whether a loss can be differentiated through it. */
  readonly gradient: boolean;
  /** Whether it runs on WebGPU without leaving the GPU. */
  readonly webgpu: boolean;
}

/** What is known of a file. */
export interface ModelReport {
  /** The version of the standard operators that the file is written in. */
  readonly opset: number;
  /** Who wrote it, such as "pytorch 1.13.0". */
  readonly producer: string;
  /** Its data inputs: an axis is a length, a symbol, or null when nothing is said. */
  readonly inputs: readonly OnnxInput[];
  /** The names of its outputs. */
  readonly outputs: readonly string[];
  /** In alphabetical order. */
  readonly operators: readonly OperatorReport[];
  /** How many numbers are trained; 0 when the model cannot be built. */
  readonly trained: number;
  /** Why it cannot be trained; empty if it can. */
  readonly problems: readonly string[];
  /** What else a user should know before training it. */
  readonly notes: readonly string[];
}

/** What the importer takes operators of other names for. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  "com.microsoft.Gelu": "Gelu",
  Upsample: "Resize",
  Scatter: "ScatterElements",
};

/** Operators that the importer deals with itself. */
const STRUCTURAL = new Set(["If", "Dropout", "Constant", "Identity"]);

/**
 * Examines an ONNX file. Builds its training graph for a batch of 2 (or the one that the file fixes),
 * differentiates it and writes it in every engine's form, so that what it says is what happens. A symbolic length
 * that is not given is taken to be {@linkcode IMAGE_SIDE} along an image and {@linkcode SEQUENCE} elsewhere, and a
 * note says so.
 *
 * @throws OnnxFileError when the file cannot be read
 */
export function checkModel(file: Uint8Array, options: ForeignModelOptions = {}): ModelReport {
  const model = readOnnxFile(file), nodes = allNodes(model);
  const operators = reportOperators(model, nodes);
  const problems = operators.filter(({ known }) => !known)
    .map(({ op }) => `the operator ${op} is not known`);
  const open = openLengths(model, options.dims);
  const notes = [...versionNotes(model), ...batchNormalizationNotes(nodes)];
  for (const [symbol, length] of Object.entries(open)) {
    notes.push(`the length "${symbol}" is open; this was found out with ${length}`);
  }
  let trained = 0;
  try {
    const { graph, parameters, fixed } = trainingGraph(file, {
      ...options,
      dims: { ...open, ...options.dims },
    });
    trained = parameters.reduce((sum, { dims }) => sum + sizeOf(dims), 0);
    if (parameters.length === 0) problems.push("nothing in it is trained");
    else for (const target of TARGETS) encodeModel(graph, { target });
    if (fixed !== undefined) {
      notes.push(
        `the file fixes its batch at ${fixed}: it can be trained with --batch-size ${fixed} alone; ` +
          "an export with an open batch axis takes any",
      );
    }
    const names = parameters.map(({ name }) => name);
    notes.push(...variableNotes(model, names), ...lossNotes(model, options));
    notes.push(...gpuNotes(graph), ...stepNotes(operators));
  } catch (error) {
    problems.push((error as Error).message);
  }
  const { opset, producer, graph: { inputs, outputs } } = model;
  return { opset, producer, inputs, outputs, operators, trained, problems, notes };
}

/** Every engine's own form of a graph, and the standard one. */
const TARGETS: readonly Target[] = ["portable", "cpu", "wasm", "webgpu"];

/** The graph of loss and gradients for a batch of 2, or the one that the file fixes. */
function trainingGraph(file: Uint8Array, options: ForeignModelOptions) {
  const model = foreignModel(file, options), fixed = model.fixedBatch;
  const built = model.build({ batchSize: fixed ?? 2, mode: "train" });
  const { graph, loss } = built, parameters = parametersOf(built);
  if (parameters.length > 0) {
    differentiate(graph, loss, parameters.map(({ value }) => value))
      .forEach((gradient, i) => graph.output(`${parameters[i].name}.grad`, gradient));
  }
  return { graph, parameters, fixed };
}

/**
 * Examines an ONNX file as {@linkcode checkModel} does, and has a device compile its training graph.
 *
 * @throws OnnxFileError when the file cannot be read
 */
export async function checkModelOn(
  device: Device,
  file: Uint8Array,
  options: ForeignModelOptions = {},
): Promise<ModelReport> {
  const report = checkModel(file, options);
  if (report.problems.length > 0) return report;
  const dims = { ...openLengths(readOnnxFile(file), options.dims), ...options.dims };
  try {
    const { graph } = trainingGraph(file, { ...options, dims });
    const { kind: target, channelBlock } = device;
    await using _session = await device.compile(encodeModel(graph, { target, channelBlock }));
  } catch (error) {
    return { ...report, problems: [(error as Error).message] };
  }
  return report;
}

/** What is not trained, and what is trained in another precision than it was written in. */
function variableNotes(model: OnnxModel, trained: readonly string[]): string[] {
  const notes: string[] = [];
  if (model.float64) notes.push("it is written in float64; here it is trained in float32");
  const found = findVariables(model);
  const left = [...found].filter(([name, { role }]) =>
    role === "parameter" && !trained.includes(name) && !trained.includes(`${name}_`)
  ).map(([name]) => name);
  if (left.length > 0) {
    notes.push(`the loss does not depend on ${left.join(", ")}: they stay as they are`);
  }
  const added = new Set(
    model.graph.nodes.filter(({ op }) => ARITHMETIC.includes(op)).flatMap(({ inputs }) => inputs),
  );
  const kept = [...constantNodes(model)].filter(([name, { type, dims }]) =>
    added.has(name) && !found.has(name) && type === "float32" && sizeOf(dims) > 1
  ).map(([name]) => name);
  if (kept.length > 0) {
    notes.push(
      `the constants ${
        kept.join(", ")
      } are not trained: they are nodes, and added or multiplied in; ` +
        "as initializers they would be",
    );
  }
  return notes;
}

/** What a loss is taken of. */
function lossNotes({ graph }: OnnxModel, { loss, prediction }: ForeignModelOptions): string[] {
  const name = prediction ?? graph.outputs[0];
  const last = graph.nodes.find(({ outputs }) => outputs.includes(name))?.op;
  const entropy = loss === "cross-entropy" || loss === undefined && !graph.outputs.includes("loss");
  if (!entropy || last !== "Softmax" && last !== "LogSoftmax") return [];
  return [
    `its prediction "${name}" has been through ${last}, and cross entropy applies another: training is ` +
    "slower than it need be; export the model without its last layer",
  ];
}

/** What open lengths are taken to be, by symbol: CIFAR's images, and a few words. */
const IMAGE_SIDE = 32, SEQUENCE = 8;

function openLengths(
  { graph }: OnnxModel,
  given: Readonly<Record<string, number>> = {},
): Record<string, number> {
  const batch = batchSymbol(graph.inputs);
  const open = graph.inputs.flatMap(({ dims }) =>
    dims.map((symbol, axis) => ({
      symbol,
      length: dims.length === 4 && axis > 1 ? IMAGE_SIDE : SEQUENCE,
      isBatch: batch ? symbol === batch : axis === 0,
    }))
  );
  return Object.fromEntries(
    open.filter(({ symbol, isBatch }) => typeof symbol === "string" && !isBatch)
      .map(({ symbol, length }) => [symbol, length])
      .filter(([symbol]) => !Object.hasOwn(given, symbol!)),
  );
}

function versionNotes({ opset }: OnnxModel): string[] {
  return opset <= NEWEST_OPSET ? [] : [
    `it is written in opset ${opset}, newer than ${NEWEST_OPSET}: an operator whose meaning has changed ` +
    `since would be misread`,
  ];
}

/** The nodes of the graph, of its branches, and of the functions it uses. */
function allNodes(model: OnnxModel): OnnxNode[] {
  const seen = new Set<string>();
  const visit = (nodes: readonly OnnxNode[]): OnnxNode[] =>
    nodes.flatMap((node) => {
      const body = model.functions.get(node.op);
      if (body) {
        if (seen.has(node.op)) return [];
        seen.add(node.op);
        return visit(body.nodes);
      }
      const graphs = Object.values(node.attributes).filter((value) => value instanceof OnnxGraph);
      return [node, ...graphs.flatMap((graph) => visit(graph.nodes))];
    });
  return visit(model.graph.nodes);
}

function reportOperators(model: OnnxModel, nodes: readonly OnnxNode[]): OperatorReport[] {
  const coverage = new Map(operatorCoverage().map((line) => [line.op, line]));
  const counts = new Map<string, number>();
  for (const { op } of nodes) {
    if (!model.functions.has(op)) counts.set(op, (counts.get(op) ?? 0) + 1);
  }
  return [...counts].sort(([a], [b]) => a < b ? -1 : 1).map(([op, count]) => {
    const line = coverage.get(OTHER_NAMES[op] ?? op), structural = STRUCTURAL.has(op);
    return {
      op,
      count,
      known: structural || line !== undefined,
      gradient: structural || (line?.gradient ?? false),
      webgpu: structural || (line?.webgpu ?? false),
    };
  });
}

function batchNormalizationNotes(nodes: readonly OnnxNode[]): string[] {
  const norms = nodes.filter(({ op }) => op === "BatchNormalization");
  const convolutions = nodes.filter(({ op }) => op === "Conv");
  const evaluated = norms.filter(({ attributes }) => !attributes.training_mode);
  if (convolutions.length > 0 && norms.length === 0) {
    const biased = convolutions.filter(({ inputs }) => inputs[2]);
    if (biased.length === convolutions.length) {
      return [
        "there is no batch normalisation and every convolution has a bias: if the network had batch " +
        "normalisation, its exporter folded it away. PyTorch keeps it with torch.onnx.export(…, " +
        "dynamo=False, training=TrainingMode.TRAINING, do_constant_folding=False)",
      ];
    }
  }
  if (evaluated.length > 0) {
    return [
      `${evaluated.length} batch normalisations were exported for evaluation; in training they take ` +
      `the batch's statistics`,
    ];
  }
  return [];
}

/** Why some operators need no gradient. */
function stepNotes(operators: readonly OperatorReport[]): string[] {
  const ops = operators.filter(({ known, gradient }) => known && !gradient).map(({ op }) => op);
  return ops.length === 0 ? [] : [
    `no gradient passes through ${ops.join(", ")}, and none has to`,
  ];
}

/** What of a training graph leaves the GPU. */
function gpuNotes(graph: Graph): string[] {
  const nodes = lower(graph, "webgpu").nodes.filter(({ op, results }) => {
    const wide = results.some(({ type }) => type === "int64" || type === "float64");
    return findOperator(op).webgpu === false || wide && op !== "Cast" && op !== "TopK";
  });
  if (nodes.length === 0) return [];
  const ops = [...new Set(nodes.map(({ op }) => op))].sort().join(", ");
  return [`on WebGPU ${nodes.length} nodes run on the CPU (${ops}), with a copy each way`];
}

const formatInput = ({ name, type, dims }: OnnxInput) =>
  `${name} ${type} [${dims.map((dim) => dim ?? "?").join(", ")}]`;

/** A report as lines of text. */
export function formatModelReport(report: ModelReport): string {
  const { opset, producer, inputs, outputs, operators, trained, problems, notes } = report;
  const width = Math.max(8, ...operators.map(({ op }) => op.length));
  const yes = (value: boolean, head: string) => (value ? "yes" : "no").padEnd(head.length);
  return [
    `opset ${opset}${producer ? `, written by ${producer}` : ""}`,
    `inputs ${inputs.map(formatInput).join(", ")}; outputs ${outputs.join(", ")}`,
    "",
    `${"operator".padEnd(width)}  nodes  gradient  webgpu`,
    ...operators.map(({ op, count, known, gradient, webgpu }) =>
      `${op.padEnd(width)}  ${String(count).padStart(5)}  ` +
      (known ? `${yes(gradient, "gradient")}  ${yes(webgpu, "webgpu")}` : "not known").trimEnd()
    ),
    "",
    problems.length === 0
      ? `${trained.toLocaleString("en")} numbers can be trained`
      : `cannot be trained:\n${problems.map((problem) => `  ${problem}`).join("\n")}`,
    ...notes.map((note) => `note: ${note}`),
  ].join("\n");
}
