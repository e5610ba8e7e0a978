/**
 * Reads arrays of one's own as samples to learn from.
 *
 * @module
 */

import { deserialize, serialize } from "node:v8";
import { Random } from "../../../runtime/base/random.ts";
import { counted } from "../../../runtime/base/words.ts";
import { type OncePerHost, PER_RANK } from "../../../runtime/once_per_host.ts";
import { DataError } from "../data_error.ts";
import type {
  AmountTarget,
  ArrayDataSet,
  ArrayInput,
  ArraySplits,
  ClassTarget,
} from "./array_data_set.ts";
import { type ArraySource, type ArraySplit, openArrays } from "./array_source.ts";
import {
  type ArrayChoice,
  choose,
  type Chosen,
  type ChosenInput,
  type NetworkInput,
} from "./choose.ts";
import { brief } from "./csv.ts";
import { formatShape, type NamedArray, type NumberArray } from "./npy.ts";
import { columnsOfShape, type Scaling, scalingOf, standardised } from "./standardise.ts";
import { type Classes, classesOf, kindOfTarget } from "./targets.ts";

/** How arrays are read. */
export interface ArrayOptions extends ArrayChoice {
  /** As in `--loss`; it decides what the target is where it is for one kind alone. */
  readonly loss: string | null;
  /** What gets the mean 0 and the deviation 1. */
  readonly standardise: "inputs" | "all" | "none";
  /** Share of the samples that is the test set, where the data have none of their own. */
  readonly testFraction: number;
}

/**
 * Reads arrays, see {@linkcode openArrays}. A share of the samples, drawn the same for every seed, is the test set
 * where there is none (a validation set takes its place).
 *
 * @param network what the network's file takes; null for a built-in one
 * @param sharing who else needs the same: one rank of a host reads for all
 * @throws DataError when something is missing, damaged or does not fit
 */
export async function loadArrays(
  place: string,
  options: ArrayOptions,
  network: readonly NetworkInput[] | null,
  sharing: OncePerHost = PER_RANK,
): Promise<ArraySplits> {
  const key = JSON.stringify(["arrays", place, options, network]);
  const read = async () =>
    new Uint8Array(serialize(arraySplitsOf(await openArrays(place), options, network)));
  return deserialize(await sharing.make(key, read));
}

/** {@linkcode loadArrays} of arrays that have been opened. */
export function arraySplitsOf(
  source: ArraySource,
  options: ArrayOptions,
  network: readonly NetworkInput[] | null,
): ArraySplits {
  const chosen = choose(source.train, options, network);
  const whole = readSplit(source.train, chosen);
  const { train, test, valid } = divide(source, chosen, whole, options.testFraction);
  const { standardise, loss } = options, path = source.train.place;
  const targetName = chosen.target.join(", ");
  const kind = kindOfTarget(targetName, whole.targets, loss, path);
  const classes = kind === "classes" ? classesOf(targetName, whole.targets[0], path) : null;
  const scalings = chosen.inputs.map(({ whole }, i) =>
    whole || standardise === "none"
      ? null
      : scalingOf(train.inputs[i].data, columnsOfShape(train.inputs[i].dims.slice(1)))
  );
  const amounts = classes ? null : amountsOf(train.targets);
  const targetScaling = amounts && standardise === "all" && loss !== "binary-cross-entropy"
    ? scalingOf(amounts.data, { count: amounts.columns, run: 1 })
    : null;
  const setOf = (name: string, part: Part): ArrayDataSet => ({
    name,
    count: part.count,
    inputs: chosen.inputs.map((input, i) => inputOf(input, part.inputs[i], scalings[i], path)),
    target: classes
      ? classTarget(classes, part.targets[0], name)
      : amountTarget(part.targets, targetScaling, loss, path),
  });
  const trainSet = setOf("train", train), targetDims = trainSet.target.dims;
  return {
    train: trainSet,
    test: setOf("test", test),
    ...valid ? { valid: setOf("valid", valid) } : {},
    description: describe(chosen, whole, { scalings, classes, targetScaling, targetDims }),
  };
}

/** Arrays of a split that belong together. */
interface Part {
  readonly count: number;
  readonly inputs: readonly NumberArray[];
  readonly targets: readonly NamedArray[];
}

/** The chosen arrays of a split. */
function readSplit(split: ArraySplit, { inputs, target }: Chosen): Part {
  const cannot = (why: string) =>
    new DataError(`cannot read the arrays of ${split.place}: ${why}`, { path: split.place });
  const get = (name: string) => {
    if (split.names.includes(name)) return split.get(name);
    throw cannot(`${brief(name)} is missing`);
  };
  const missing = inputs.flatMap(({ from }) => from).find((name) => !split.names.includes(name));
  if (missing !== undefined) throw cannot(`${brief(missing)} is missing`);
  const targets = target.map(get), [{ dims: [count] }] = targets;
  const read = inputs.map(({ from }): NumberArray => {
    const array = split.columns ? split.columns(from) : get(from[0]);
    if (array.kind !== "text") return array;
    throw cannot(`${brief(from[0])} is texts, and what is fed must be numbers`);
  });
  const names = [...inputs.map(({ from }) => from[0]), ...target];
  for (const [i, { dims, data, kind }] of [...read, ...targets].entries()) {
    if (dims.length === 0 || dims[0] !== count) {
      throw cannot(
        `${brief(names[i])} is ${formatShape(dims)}, and the target ${brief(target[0])} ` +
          `${formatShape(targets[0].dims)}: the first axis must be the samples of both`,
      );
    }
    const bad = kind === "float" ? Array.prototype.findIndex.call(data, isNoNumber) : -1;
    if (bad >= 0) {
      throw cannot(
        `${brief(names[i])} at [${indexOf(bad, dims).join(", ")}] is ${
          data[bad]
        }: fill missing values in, ` +
          "or leave the samples out",
      );
    }
  }
  return { count, inputs: read, targets };
}

const isNoNumber = (value: number) => !Number.isFinite(value);

/** Where in an array of a shape the n-th element is. */
function indexOf(n: number, dims: readonly number[]): number[] {
  const index: number[] = [];
  for (const length of dims.toReversed()) {
    index.unshift(n % length);
    n = Math.floor(n / length);
  }
  return index;
}

/** What is learnt from, in an order that is drawn, and what is held out. */
function divide(source: ArraySource, chosen: Chosen, whole: Part, testFraction: number) {
  const order = new Random(0, "arrays").permutation(whole.count);
  const own = (split: ArraySplit | null) => {
    if (!split) return null;
    const part = readSplit(split, chosen), names = chosen.inputs.map(({ from }) => from[0]);
    const cannot = (why: string) =>
      new DataError(`cannot read the arrays: ${why}`, { path: split.place });
    if (part.count === 0) throw cannot(`a set of ${split.place} that is held out has no samples`);
    const arrays = [...part.inputs, ...part.targets];
    for (const [i, first] of [...whole.inputs, ...whole.targets].entries()) {
      const { dims, kind, data } = arrays[i], name = brief([...names, ...chosen.target][i]);
      if (`${dims.slice(1)}` !== `${first.dims.slice(1)}`) {
        throw cannot(
          `of ${name} a sample to train with is ${formatShape(first.dims.slice(1))}, and one of ` +
            `${split.place} ${formatShape(dims.slice(1))}`,
        );
      }
      if ((kind === "text") === (first.kind === "text")) continue;
      const isNumber = (value: string | number) => value !== "" && Number.isFinite(Number(value));
      const other = Array.from<string | number>(kind === "text" ? data : first.data)
        .find((value) => !isNumber(value));
      throw cannot(
        `${name} is numbers in one of its sets, and texts in another${
          other === undefined ? "" : `, such as ${brief(String(other))}`
        }: ` +
          `make the same of them in ${source.train.place} and ${split.place}`,
      );
    }
    return take(part, new Random(0, "arrays", "held out").permutation(part.count));
  };
  const test = own(source.test), valid = own(source.valid);
  if (test || valid) {
    return { train: take(whole, order), test: (test ?? valid)!, valid: test && valid };
  }
  const out = Math.max(1, Math.round(whole.count * testFraction));
  if (out >= whole.count) {
    throw new DataError(
      `cannot read the arrays: of ${
        counted(whole.count, "sample")
      } of ${source.train.place} none are left to learn from ` +
        "beside a test set: give more",
      { path: source.train.place },
    );
  }
  return {
    train: take(whole, order.slice(out)),
    test: take(whole, order.slice(0, out)),
    valid: null,
  };
}

/** Some samples of a part, in an order. */
function take({ inputs, targets }: Part, order: Uint32Array): Part {
  const some = <A extends NamedArray>(array: A): A => {
    const { dims, data } = array, size = data.length / dims[0];
    const taken = array.kind === "text"
      ? new Array<string>(order.length * size)
      : new Float64Array(order.length * size);
    order.forEach((sample, at) => {
      for (let i = 0; i < size; i++) taken[at * size + i] = data[sample * size + i];
    });
    return { ...array, dims: [order.length, ...dims.slice(1)], data: taken };
  };
  return { count: order.length, inputs: inputs.map(some), targets: targets.map(some) };
}

function inputOf(
  { name, whole, from }: ChosenInput,
  { dims, data }: NumberArray,
  scaling: Scaling | null,
  path: string,
): ArrayInput {
  const sample = dims.slice(1);
  if (!whole) {
    return {
      name,
      dims: sample,
      data: scaling ? standardised(data, scaling, columnsOfShape(sample)) : Float32Array.from(data),
    };
  }
  const at = Array.prototype.findIndex.call(data, (value: number) => (value | 0) !== value);
  if (at < 0) return { name, dims: sample, data: Int32Array.from(data) };
  throw new DataError(
    `cannot read the arrays of ${path}: the network takes whole numbers of 32 bits from ${
      brief(from[0])
    }, ` +
      `which has ${data[at]}`,
    { path },
  );
}

/** A class for each sample, or for each place of one. */
function classTarget(classes: Classes, array: NamedArray, what: string): ClassTarget {
  const dims = array.dims.slice(1);
  return {
    kind: "classes",
    dims: dims.length === 1 && dims[0] === 1 ? [] : dims,
    labels: classes.labels(array, what),
    classes: classes.names,
  };
}

/** One or several targets as columns side by side. */
function amountsOf(targets: readonly NamedArray[]) {
  const [first] = targets as readonly NumberArray[], { dims } = first;
  if (targets.length === 1) {
    const columns = dims.slice(1).reduce((product, length) => product * length, 1);
    return { data: first.data, dims: dims.slice(1), columns };
  }
  const columns = targets.length, data = new Float64Array(dims[0] * columns);
  (targets as readonly NumberArray[]).forEach((each, column) => {
    for (let i = 0; i < dims[0]; i++) data[i * columns + column] = each.data[i];
  });
  return { data, dims: [columns], columns };
}

function amountTarget(
  targets: readonly NamedArray[],
  scaling: Scaling | null,
  loss: string | null,
  path: string,
): AmountTarget {
  const { data, dims, columns } = amountsOf(targets), shape = { count: columns, run: 1 };
  if (loss === "binary-cross-entropy") {
    const at = Array.prototype.findIndex.call(data, (value: number) => !(value >= 0 && value <= 1));
    if (at >= 0) {
      throw new DataError(
        `cannot read the arrays of ${path}: --loss binary-cross-entropy needs a target from 0 to 1, not ` +
          `${data[at]}`,
        { path },
      );
    }
  }
  const scaled = scaling ? standardised(data, scaling, shape) : Float32Array.from(data);
  const { mean } = scalingOf(scaled, shape);
  let squares = 0;
  scaled.forEach((value, i) => squares += (value - mean[i % columns]) ** 2);
  return {
    kind: "amounts",
    dims,
    data: scaled,
    unit: scaling && columns === 1 ? scaling.std[0] : 1,
    variance: squares / scaled.length,
  };
}

/** What has become of the columns, for who feeds the trained network. */
function describe(
  { inputs, target }: Chosen,
  whole: Part,
  { scalings, classes, targetScaling, targetDims }: {
    readonly scalings: readonly (Scaling | null)[];
    readonly classes: Classes | null;
    readonly targetScaling: Scaling | null;
    readonly targetDims: readonly number[];
  },
): string {
  const described = {
    inputs: inputs.map(({ name, from, whole: isWhole }, i) => ({
      name,
      from,
      type: isWhole ? "int32" : "float32",
      dims: whole.inputs[i].dims.slice(1),
      ...scalings[i],
    })),
    target: {
      from: target,
      dims: targetDims,
      ...classes ? { classes: classes.names } : {},
      ...targetScaling,
    },
  };
  return `${JSON.stringify(described, null, 2)}\n`;
}
