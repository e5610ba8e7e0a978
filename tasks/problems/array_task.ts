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

/**
 * Throws RangeError where a partition goes by classes, and the targets are none of which a sample has one.
 */
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
  const values = target.kind === "classes" ? target.labels : target.data;
  return {
    count,
    ...target.kind === "classes"
      ? { predictions: sizeOf(target.dims) }
      : { variance: target.variance },
    feeds(batchSize) {
      const arrays = inputs.map(({ dims, data }) => rowsOf(batchSize, dims, data));
      const tensors = arrays.map(({ tensor }, i) => [inputs[i].name, tensor] as const);
      const size = sizeOf(target.dims);
      const wanted = target.kind === "classes"
        ? rowsOf(batchSize, target.dims, values, new Int32Array(batchSize * size))
        : rowsOf(batchSize, target.dims, values, new Float32Array(batchSize * size));
      return {
        feeds: { ...Object.fromEntries(tensors), target: wanted.tensor },
        fill: (samples) => [...arrays, wanted].forEach(({ fill }) => fill(samples)),
        leaveOut: (first) =>
          void wanted.tensor.data.fill(target.kind === "classes" ? -1 : NO_TARGET, first * size),
      };
    },
  };
}

/** A tensor for a batch of samples of an array, and what fills it. */
function rowsOf(
  batchSize: number,
  dims: readonly number[],
  from: Float32Array | Int32Array | Uint16Array,
  into: Float32Array | Int32Array = from instanceof Int32Array
    ? new Int32Array(batchSize * sizeOf(dims))
    : new Float32Array(batchSize * sizeOf(dims)),
) {
  const size = sizeOf(dims), type = into instanceof Int32Array ? "int32" : "float32";
  const tensor = { type, dims: [batchSize, ...dims], data: into } as HostTensor & {
    readonly data: Float32Array | Int32Array;
  };
  const fill = (samples: Uint32Array) => {
    samples.forEach((sample, row) =>
      into.set(from.subarray(sample * size, (sample + 1) * size), row * size)
    );
  };
  return { tensor, fill };
}
