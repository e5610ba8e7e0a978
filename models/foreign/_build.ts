/**
 * One graph made of an ONNX file: its inputs declared, its nodes imported, a loss appended.
 *
 * @module
 */

import { runningStatistics } from "../architectures/layers.ts";
import { Graph, type Value } from "../graph.ts";
import type { BuildOptions, Mode, ModelGraph, Role, Variable } from "../model.ts";
import { liveNodes } from "../rewrite.ts";
import { type ElementType, sizeOf, type Tensor, toNumbers } from "../tensor.ts";
import { type FileVariable, RESERVED } from "./_variables.ts";
import { type ImportedCall, importGraph } from "./import.ts";
import { type LossName, lossNamed } from "../architectures/losses.ts";
import type { ForeignModelOptions } from "./options.ts";
import { OnnxFileError, type OnnxInput, type OnnxModel } from "./file/onnx_graph.ts";

/** A dropout that became an input. */
export interface Drop {
  readonly name: string;
  readonly dims: readonly number[];
  readonly ratio: number;
}

/** The symbol that names the batch's axis, if the file says so; else the batch is the first axis. */
export function batchSymbol(inputs: readonly OnnxInput[]): string | undefined {
  return inputs.flatMap(({ dims }) => dims)
    .find((dim) => typeof dim === "string" && /batch|^n$/i.test(dim)) as string | undefined;
}

/** Whether a shape is that of the one input there is. */
const isShape = (
  shape: readonly number[] | Readonly<Record<string, readonly number[]>>,
): shape is readonly number[] => Array.isArray(shape);

/** The input that is the target of a loss inside the file. */
function targetOf(inputs: readonly OnnxInput[]): OnnxInput {
  const named = inputs.find(({ name }) => /target|label|^y$/i.test(name));
  if (inputs.length < 2 || !named && inputs.length > 2) {
    throw new OnnxFileError(
      `the model has ${inputs.length} inputs (${
        inputs.map(({ name }) => name).join(", ")
      }); a loss inside it needs ` +
        "data and one target, called target, label or y where there are more than two inputs",
    );
  }
  return named ?? inputs[1];
}

/**
 * Inputs that a sequence says all of by its length, as Hugging Face's exporters name them: every token counts,
 * all are of the first text, and stand one after the other.
 */
const SUPPLIED: readonly (readonly [RegExp, (position: number) => number])[] = [
  [/^(attention|input)_mask$/i, () => 1],
  [/^(token_type|segment)_ids$/i, () => 0],
  [/^position_ids$/i, (position) => position],
];

const isSupplied = ({ name }: OnnxInput) => SUPPLIED.some(([pattern]) => pattern.test(name));

/** What {@linkcode SUPPLIED} has for an input, as a constant. */
function supplied(g: Graph, { name, type }: OnnxInput, dims: readonly number[]): Value {
  const valueAt = SUPPLIED.find(([pattern]) => pattern.test(name))![1], length = dims.at(-1) ?? 1;
  const data = Array.from({ length: sizeOf(dims) }, (_, i) => valueAt(i % length));
  return g.constant(type, dims, data);
}

/** Which of the data inputs are fed. */
function fedOf(data: readonly OnnxInput[], { shapes }: ForeignModelOptions): readonly OnnxInput[] {
  const list = (inputs: readonly OnnxInput[]) => inputs.map(({ name }) => name).join(", ");
  if (data.length === 0) throw new OnnxFileError("the model has no input");
  if (data.length === 1 || !shapes) return data;
  const { input } = shapes;
  const fed = data.filter((each) => isShape(input) ? !isSupplied(each) : each.name in input);
  const missing = data.filter((each) => !fed.includes(each) && !isSupplied(each));
  const reserved = fed.find(({ name }) => fed.length > 1 && name !== "input" && RESERVED.has(name));
  if (reserved) {
    throw new OnnxFileError(`its input "${reserved.name}" has a name of the trainer's: rename it`);
  }
  if (isShape(input) ? fed.length === 1 : missing.length === 0 && fed.length > 0) return fed;
  throw new OnnxFileError(
    isShape(input)
      ? `the model has ${data.length} inputs (${list(data)}), and what is fed is one`
      : `the model's inputs are ${list(data)}, and nothing is fed to ${
        list(missing)
      }: what there is is ` +
        Object.keys(input).join(", "),
  );
}

/** The first two axes exchanged, if the batch is the second. */
function exchanged(g: Graph, value: Value, batchAxis: number): Value {
  if (batchAxis === 0 || value.dims.length < 2) return value;
  return g.transpose(value, value.dims.map((_, axis) => axis < 2 ? 1 - axis : axis));
}

/** The output that is the loss, if the file has one. */
export function lossOutput(
  { graph: { outputs } }: OnnxModel,
  { loss }: Pick<ForeignModelOptions, "loss">,
): string | undefined {
  if (loss === undefined) return outputs.includes("loss") ? "loss" : undefined;
  if (typeof loss !== "object") return undefined;
  if (outputs.includes(loss.output)) return loss.output;
  throw new OnnxFileError(`the model has no output "${loss.output}", but ${outputs.join(", ")}`);
}

/** The inputs beside the target of a loss inside the file, of which the first is one of data. */
export function dataInputs(
  { graph: { inputs } }: OnnxModel,
  loss: string | undefined,
): readonly OnnxInput[] {
  const target = loss === undefined ? null : targetOf(inputs);
  return inputs.filter((input) => input !== target);
}

/** What of a file is trained. */
export interface FileVariables {
  readonly variables: ReadonlyMap<string, FileVariable>;
  /** What they are called here, by their names in the file. */
  readonly names: ReadonlyMap<string, string>;
}

/** A graph under construction. */
export class Build {
  readonly graph = new Graph();
  readonly drops: Drop[] = [];
  /** Variables that the loss does not depend on, by their names in the file; known when it is finished. */
  leftOut: readonly string[] = [];
  readonly #mode: Mode;
  readonly #variables = new Map<string, Variable>();
  readonly #outputs: Map<string, Value>;
  /** What is normalised while a running statistic is gathered, by its name: in training nothing reads it. */
  readonly #normalized = new Map<string, Value>();
  /** The batch's axis in the file, 0 or 1, where it is told what it is fed. */
  #batchAxis = 0;
  /** The first input that is fed; null where the inputs keep the file's names. */
  #main: Value | null = null;

  /** Imports the file's nodes; the inputs keep the file's names and types if `own` says so. */
  constructor(
    readonly model: OnnxModel,
    readonly file: FileVariables,
    readonly options: ForeignModelOptions,
    { batchSize, mode }: BuildOptions,
    readonly own: boolean,
  ) {
    this.#mode = mode;
    const data = this.#declareInputs(batchSize);
    // Before any node, whose result might take the name of one.
    for (const [name, { tensor, role }] of file.variables) {
      this.#declareVariable(name, tensor, role);
    }
    this.#outputs = importGraph(this.graph, model, {
      input: (name) => data.get(name)!,
      initializer: (name, tensor) => this.#initializer(name, tensor),
      replace: (call) => this.#replace(call),
    });
  }

  /** Declares the loss and what else a model has as outputs. */
  finish(): ModelGraph {
    const g = this.graph, own = lossOutput(this.model, this.options);
    const outputs = own === undefined ? this.#appendLoss() : this.#ownLoss(own);
    this.#leaveOut(outputs.loss);
    return { graph: g, loss: outputs.loss, outputs, variables: [...this.#variables.values()] };
  }

  /** Leaves out the variables that the loss does not depend on, such as those of an auxiliary head. */
  #leaveOut(loss: Value): void {
    const reached = new Set<Value>([loss]);
    for (const { inputs, results } of this.graph.nodes.toReversed()) {
      if (!results.some((result) => reached.has(result))) continue;
      for (const input of inputs) if (input) reached.add(input);
    }
    for (const [name, { value }] of this.#variables) {
      if (reached.has(this.#normalized.get(name) ?? value)) continue;
      this.#variables.delete(name);
      this.graph.inputs.delete(name);
      this.graph.outputs.delete(`${name}.next`);
    }
    this.leftOut = [...this.file.names].filter(([, name]) => !this.#variables.has(name))
      .map(([inFile]) => inFile);
  }

  /** Declares the file's own outputs. */
  predict(): Pick<ModelGraph, "graph" | "variables"> {
    const g = this.graph, loss = lossOutput(this.model, this.options);
    const names = [...this.#outputs.keys()];
    const wanted = names.length > 1 ? names.filter((name) => name !== loss) : names;
    for (const name of wanted) g.output(name, this.#find(name));
    const used = new Set<Value | null>(liveNodes(g).flatMap(({ inputs }) => inputs));
    for (const { name } of this.model.graph.inputs) {
      if (!used.has(g.inputs.get(name)!)) g.inputs.delete(name);
    }
    return { graph: g, variables: [...this.#variables.values()] };
  }

  /** The loss that the file computes, taken to be a mean over all that is in the target. */
  #ownLoss(name: string): Record<string, Value> & { loss: Value } {
    if (this.options.labelSmoothing) {
      throw new OnnxFileError(
        `labels are smoothed for a cross entropy that is appended, and the model's loss is its output "${name}"`,
      );
    }
    const g = this.graph, loss = g.output("loss", g.reshape(this.#find(name), []));
    if (this.#mode === "train") return { loss };
    const { dims } = g.inputs.get("target")!;
    return {
      loss,
      count: g.output("count", g.scalar(sizeOf(dims))),
      loss_sum: g.output("loss_sum", g.mul(loss, sizeOf(dims))),
    };
  }

  #appendLoss() {
    const { classAxis, classes, prediction, labelSmoothing } = this.options;
    const { loss = classes === false ? "mse" : "cross-entropy" } = this.options;
    const value = this.#batchFirst(this.#find(prediction ?? this.model.graph.outputs[0]));
    const target = this.options.shapes?.target;
    const targetDims = target && [value.dims[0], ...target.slice(1)];
    const append = lossNamed(loss as LossName, { classAxis, classes, labelSmoothing, targetDims });
    return append(this.graph, value, this.#mode);
  }

  /** A prediction with the batch as its first axis, and time as an axis of its own. */
  #batchFirst(value: Value): Value {
    const { shapes } = this.options, g = this.graph;
    if (shapes?.target.length !== 2) return value;
    const [batch, time] = this.#main!.dims;
    const steps = this.#batchAxis === 1 ? [time, batch] : [batch, time];
    const flat = value.dims.length === 2 && value.dims[0] === batch * time;
    const each = flat ? g.reshape(value, [...steps, -1]) : value;
    return exchanged(g, each, this.#batchAxis);
  }

  #find(name: string): Value {
    const value = this.#outputs.get(name);
    if (value) return value;
    throw new OnnxFileError(
      `the model has no output "${name}", but ${[...this.#outputs.keys()].join(", ")}`,
    );
  }

  /** Declares what is fed, and `target` if the loss is inside the file; the values by the file's names. */
  #declareInputs(batchSize: number): Map<string, Value> {
    const { inputs } = this.model.graph;
    const loss = lossOutput(this.model, this.options);
    const data = dataInputs(this.model, loss), fed = fedOf(data, this.options);
    const target = inputs.find((input) => !data.includes(input));
    const symbol = batchSymbol(inputs);
    const isSecond = ({ dims: [first, second] }: OnnxInput) =>
      this.options.shapes !== undefined && symbol !== undefined && second === symbol &&
      first !== symbol;
    this.#batchAxis = isSecond(fed[0]) ? 1 : 0;
    const shapes = this.options.shapes, main = fed.length === 1 ? "input" : fed[0].name;
    const shapeOf = ({ name }: OnnxInput) =>
      !shapes ? undefined : isShape(shapes.input) ? shapes.input : shapes.input[name] ??
        shapes.input[fed[0].name];
    const values = inputs.map((input): [string, Value] => {
      const axis = isSecond(input) ? 1 : 0,
        shape = input === target ? shapes?.target : shapeOf(input);
      const dims = this.#dimsOf(input, { batchSize, symbol, axis, shape });
      const role = input === target ? "target" : fed.length === 1 ? main : input.name;
      if (this.own) return [input.name, this.graph.input(input.name, input.type, dims)];
      const value = input === target || fed.includes(input)
        ? this.#declare(role, input.type, dims, axis)
        : supplied(this.graph, input, dims);
      return [input.name, value];
    });
    this.#main = this.graph.inputs.get(main) ?? null;
    return new Map(values);
  }

  /** The lengths of an input's axes. */
  #dimsOf(
    { name, dims }: OnnxInput,
    { batchSize, symbol, axis: batchAxis, shape }: {
      readonly batchSize: number;
      readonly symbol: string | undefined;
      readonly axis: number;
      readonly shape: readonly number[] | undefined;
    },
  ): number[] {
    return dims.map((dim, axis) => {
      if (symbol ? dim === symbol : axis === 0) return batchSize;
      if (typeof dim === "number") return dim;
      const fed = batchAxis === 1 && axis < 2 ? 1 - axis : axis;
      const given = (dim === null ? undefined : this.options.dims?.[dim]) ?? shape?.[fed];
      if (given !== undefined) return given;
      const problem = `axis ${axis} of the input "${name}" has no fixed length`;
      throw dim === null
        ? new OnnxFileError(`${problem}; export the model with one`)
        : new OnnxFileError(problem, { openDimension: dim });
    });
  }

  #declare(name: string, type: ElementType, dims: readonly number[], batchAxis: number): Value {
    // WebGPU has no arithmetic on int64, and indices need none.
    const [first, second, ...rest] = dims;
    const shape = batchAxis === 1 && dims.length > 1 ? [second, first, ...rest] : dims;
    const value = this.graph.input(name, type === "int64" ? "int32" : type, shape);
    return this.graph.cast(exchanged(this.graph, value, batchAxis), type);
  }

  #initializer(name: string, tensor: Tensor): Value {
    return this.#variable(name) ?? this.graph.tensor(tensor);
  }

  #declareVariable(inFile: string, tensor: Tensor, role: Role): void {
    const name = this.file.names.get(inFile)!, { dims } = tensor;
    const value = this.graph.input(name, "float32", dims);
    const initial = () => Float32Array.from(toNumbers(tensor).data);
    this.#variables.set(name, { name, dims, role, value, initial });
  }

  /** The value of a variable, by its name in the file. */
  #variable(inFile: string): Value | undefined {
    return this.#variables.get(this.file.names.get(inFile) ?? "")?.value;
  }

  #replace(call: ImportedCall): readonly Value[] | undefined {
    if (call.op === "Identity" || call.op === "Constant") {
      const own = this.#variable(call.names[0]);
      return own && [own];
    }
    if (call.op === "BatchNormalization") return this.#batchNormalization(call);
    return call.op === "Dropout" ? this.#dropout(call) : undefined;
  }

  #batchNormalization({ inputs, attributes }: ImportedCall): readonly Value[] {
    const g = this.graph, [x, scale, bias, mean, variance] = inputs as Value[];
    const epsilon = Number(attributes.epsilon ?? 1e-5);
    if (this.#mode === "eval") {
      return [
        g.op("BatchNormalization", [x, scale, bias, mean, variance], { epsilon }),
        mean,
        variance,
        mean,
        variance,
      ];
    }
    const parts = g.opMany("celgc.BatchNormalization", [x, scale, bias], { epsilon }, 3);
    const momentum = 1 - Number(attributes.momentum ?? 0.9);
    const next = runningStatistics(g, x, [mean, variance], [parts[1], parts[2]], momentum);
    [mean, variance].forEach((old, i) => {
      const variable = this.#variables.get(old.name);
      if (variable?.value !== old) return;
      this.#variables.set(old.name, { ...variable, next: next[i] });
      this.#normalized.set(old.name, parts[0]);
      g.output(`${old.name}.next`, next[i]);
    });
    // Before opset 14 the batch's own statistics were outputs too.
    return [parts[0], ...next, parts[1], parts[2]];
  }

  #dropout({ inputs: [x, given], names: [name] }: ImportedCall): readonly Value[] {
    const g = this.graph, all = () => g.expand(g.scalar(1, "bool"), x!.dims);
    const ratio = given ? Number(given.constant?.data[0]) : 0.5;
    if (!(ratio >= 0 && ratio < 1)) {
      throw new OnnxFileError(`dropout's ratio must be known: ${ratio}`);
    }
    if (this.#mode === "eval" || ratio === 0) return [x!, all()];
    const mask = g.input(`${name}.mask`, "float32", x!.dims);
    this.drops.push({ name: mask.name, dims: x!.dims, ratio });
    return [g.mul(x!, mask), g.greater(mask, 0)];
  }
}
