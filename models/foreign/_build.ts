/**
 * One graph made of an ONNX file: its inputs declared, its nodes imported, a loss appended.
 *
 * @module
 */

import { runningStatistics } from "../architectures/layers.ts";
import { Graph, type Value } from "../graph.ts";
import type { BuildOptions, Mode, ModelGraph, Role, Variable } from "../model.ts";
import { liveNodes } from "../rewrite.ts";
import { sizeOf, type Tensor, toNumbers } from "../tensor.ts";
import type { FileVariable } from "./_variables.ts";
import { type ImportedCall, importGraph } from "./import.ts";
import { type LossName, lossNamed } from "./losses.ts";
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
    const g = this.graph, lossOutput = this.#lossOutput();
    const outputs = lossOutput ? this.#ownLoss(lossOutput) : this.#appendLoss();
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
    const g = this.graph, lossOutput = this.#lossOutput();
    const names = [...this.#outputs.keys()];
    const wanted = names.length > 1 ? names.filter((name) => name !== lossOutput) : names;
    for (const name of wanted) g.output(name, this.#find(name));
    const used = new Set<Value | null>(liveNodes(g).flatMap(({ inputs }) => inputs));
    for (const { name } of this.model.graph.inputs) {
      if (!used.has(g.inputs.get(name)!)) g.inputs.delete(name);
    }
    return { graph: g, variables: [...this.#variables.values()] };
  }

  /** The output that is the loss, if the file has one. */
  #lossOutput(): string | undefined {
    const { loss } = this.options;
    const { outputs } = this.model.graph;
    if (loss === undefined) return outputs.includes("loss") ? "loss" : undefined;
    if (typeof loss !== "object") return undefined;
    if (outputs.includes(loss.output)) return loss.output;
    throw new OnnxFileError(
      `the model has no output "${loss.output}", but ${outputs.join(", ")}`,
    );
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
    const { loss = "cross-entropy", classAxis, classes, prediction, labelSmoothing } = this.options;
    const value = this.#batchFirst(this.#find(prediction ?? this.model.graph.outputs[0]));
    const append = lossNamed(loss as LossName, { classAxis, classes, labelSmoothing });
    return append(this.graph, value, this.#mode);
  }

  /** A prediction with the batch as its first axis, and time as an axis of its own. */
  #batchFirst(value: Value): Value {
    const { shapes } = this.options, g = this.graph;
    if (shapes?.target.length !== 2) return value;
    const [batch, time] = g.inputs.get("input")!.dims;
    const steps = this.#batchAxis === 1 ? [time, batch] : [batch, time];
    const flat = value.dims.length === 2 && value.dims[0] === batch * time;
    const each = flat ? g.reshape(value, [...steps, -1]) : value;
    return this.#exchanged(each);
  }

  /** The first two axes exchanged, if the file has them the other way round. */
  #exchanged(value: Value): Value {
    if (this.#batchAxis === 0 || value.dims.length < 2) return value;
    return this.graph.transpose(value, value.dims.map((_, axis) => axis < 2 ? 1 - axis : axis));
  }

  #find(name: string): Value {
    const value = this.#outputs.get(name);
    if (value) return value;
    throw new OnnxFileError(
      `the model has no output "${name}", but ${[...this.#outputs.keys()].join(", ")}`,
    );
  }

  /** Declares `input`, and `target` if the loss is inside the file. */
  #declareInputs(batchSize: number): Map<string, Value> {
    const { inputs } = this.model.graph, inside = this.#lossOutput() !== undefined;
    if (inputs.length !== (inside ? 2 : 1)) {
      throw new OnnxFileError(
        `the model has ${inputs.length} inputs (${inputs.map(({ name }) => name).join(", ")}); ` +
          `what can be fed is one input${inside ? " and one target" : ""}`,
      );
    }
    const target = inside
      ? inputs.find(({ name }) => /target|label|^y$/i.test(name)) ?? inputs[1]
      : null;
    const symbol = batchSymbol(inputs);
    const data = inputs.find((input) => input !== target)!;
    if (this.options.shapes && symbol && data.dims[1] === symbol) this.#batchAxis = 1;
    const values = inputs.map((input) => {
      const role = input === target ? "target" : "input";
      return this.#declare(role, input, batchSize, symbol);
    });
    return new Map(values.map((value, i) => [inputs[i].name, value]));
  }

  #declare(
    role: "input" | "target",
    { name: own, type, dims }: OnnxInput,
    batchSize: number,
    symbol: string | undefined,
  ): Value {
    const fixed = dims.map((dim, axis) => {
      if (symbol ? dim === symbol : axis === 0) return batchSize;
      if (typeof dim === "number") return dim;
      const fed = this.#batchAxis === 1 && axis < 2 ? 1 - axis : axis;
      const given = (dim === null ? undefined : this.options.dims?.[dim]) ??
        this.options.shapes?.[role][fed];
      if (given !== undefined) return given;
      const problem = `axis ${axis} of the input "${own}" has no fixed length`;
      throw dim === null
        ? new OnnxFileError(`${problem}; export the model with one`)
        : new OnnxFileError(problem, { openDimension: dim });
    });
    if (this.own) return this.graph.input(own, type, fixed);
    // WebGPU has no arithmetic on int64, and indices need none.
    const [first, second, ...rest] = fixed;
    const shape = this.#batchAxis === 1 && fixed.length > 1 ? [second, first, ...rest] : fixed;
    const value = this.graph.input(role, type === "int64" ? "int32" : type, shape);
    return this.graph.cast(this.#exchanged(value), type);
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
