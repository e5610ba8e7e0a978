/**
 * Arrays of one's own as a task: classification or regression.
 *
 * @module
 */

import type { ArrayDataSet, ArraySplits } from "../data/arrays/array_data_set.ts";
import type { Worlds } from "../data/sampling/worlds.ts";
import { parsePartition } from "../data/sampling/partition.ts";
import { NO_TARGET } from "../../models/architectures/losses.ts";
import { arraysOf, type DataShape } from "../networks/data_shape.ts";
import type { Options } from "../options/table.ts";
import { sizeOf } from "../../models/tensor.ts";
import type { HostTensor } from "../../runtime/devices/device.ts";
import type { Task } from "../task.ts";
import type { SampleSet, SampleTaskParts } from "./sample_set.ts";
import { sampleTask } from "./sample_task.ts";

/** What a network has to know of arrays. */
export function shapeOfArrays({ description }: ArraySplits): DataShape {
  return arraysOf(JSON.parse(description));
}

/** Throws RangeError where a partition goes by classes, and a sample has none, or several. */
export function checkArrayPartition(
  { train }: ArraySplits,
  options: Pick<Options, "partition">,
): void {
  const { target } = train, { kind } = parsePartition(options.partition);
  if (target.kind === "amounts" && (kind === "dirichlet" || kind === "shards")) {
    throw new RangeError(
      `cannot use partition "${options.partition}": ${kind} divides classes, and the target is amounts; take ` +
        "iid, whole or proportional",
    );
  }
  if (target.kind === "classes" && target.dims.length > 0 && kind !== "iid" && kind !== "whole") {
    throw new RangeError(
      `cannot use partition "${options.partition}": a sample has a class of each place; take iid or whole`,
    );
  }
}

/**
 * A task on arrays.
 *
 * @param worlds that the run has had; by default the one of the options alone
 */
export function arrayTask(
  { train, test, valid, description }: ArraySplits,
  options: Options,
  rank: number,
  parts?: SampleTaskParts,
  worlds?: Worlds,
): Task {
  const { target } = train;
  const single = target.kind === "classes" && target.dims.length === 0;
  const task = sampleTask(
    {
      what: "samples",
      labels: single ? target.labels.subarray(0, train.count) : new Uint8Array(train.count),
      classes: single ? target.classes.length : 1,
      train: samplesOf(train),
      test: samplesOf(test),
      ...valid ? { valid: samplesOf(valid) } : {},
    },
    options,
    rank,
    parts,
    worlds,
  );
  return {
    ...task,
    description,
    ...target.kind === "amounts" ? { unit: target.unit } : {},
  };
}

function samplesOf({ count, inputs, target }: ArrayDataSet): SampleSet {
  const size = sizeOf(target.dims), isAmounts = target.kind === "amounts";
  return {
    count,
    ...isAmounts ? { variance: target.variance } : { predictions: size },
    feeds(batchSize) {
      const fed = inputs.map(({ name, dims, data }) =>
        [name, rowsOf(batchSize, dims, data)] as const
      );
      const wanted = rowsOf(batchSize, target.dims, isAmounts ? target.data : target.labels);
      const tensors = fed.map(([name, { tensor }]) => [name, tensor] as const);
      return {
        feeds: { ...Object.fromEntries(tensors), target: wanted.tensor },
        fill(samples) {
          for (const [, { fill }] of fed) fill(samples);
          wanted.fill(samples);
        },
        leaveOut: (first) => void wanted.tensor.data.fill(isAmounts ? NO_TARGET : -1, first * size),
      };
    },
  };
}

/**
 * A tensor for a batch of samples of an array, and what fills it: int32 but for floats.
 *
 * @param dims of one sample
 */
function rowsOf(
  batchSize: number,
  dims: readonly number[],
  from: Float32Array | Int32Array | Uint16Array,
) {
  const size = sizeOf(dims), isFloat = from instanceof Float32Array;
  const data = new (isFloat ? Float32Array : Int32Array)(batchSize * size);
  const type = isFloat ? "float32" : "int32";
  const tensor = { type, dims: [batchSize, ...dims], data } as HostTensor & {
    readonly data: Float32Array | Int32Array;
  };
  const fill = (samples: Uint32Array) => {
    for (const [row, sample] of samples.entries()) {
      data.set(from.subarray(sample * size, (sample + 1) * size), row * size);
    }
  };
  return { tensor, fill };
}
