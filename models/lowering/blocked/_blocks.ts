/**
 * Ways into and out of blocked images (see ops/blocked.ts).
 *
 * Rules keep images blocked by taking {@linkcode Blocks.enter} of what they read and giving
 * {@linkcode Blocks.leave} of what they make: one undoes the other, and what nobody reads is left out of
 * the graph, so a chain of such rules converts at its ends alone.
 */

import type { Graph, Value } from "../../graph.ts";
import type { Application, Attributes } from "../../operator.ts";
import { NCHWC } from "../../ops/layers/blocked.ts";
import { sizeOf } from "../../tensor.ts";

/** What a blocked convolution may do besides. */
export interface Extras {
  readonly bias?: Value;
  /** Blocked, of the result's shape: is added to it. */
  readonly sum?: Value;
  readonly attributes?: Attributes;
}

/** Blocked images in a graph, for blocks of `size` channels. */
export class Blocks {
  constructor(readonly g: Graph, readonly size: number) {}

  /** Whether a value can be held blocked: float32 `[batch, channels, height, width]` of whole blocks. */
  fits({ type, dims }: Pick<Value, "type" | "dims">): boolean {
    return type === "float32" && dims.length === 4 && dims[1] % this.size === 0;
  }

  /** Whether a plain value is at hand as a blocked one. */
  has(x: Value): boolean {
    return x.producer?.op === `${NCHWC}ReorderOutput`;
  }

  /** The blocked form of a plain image. */
  enter(x: Value): Value {
    return this.g.op(`${NCHWC}ReorderInput`, [x]);
  }

  /** The plain form of a blocked image. */
  leave(x: Value): Value {
    return this.g.op(`${NCHWC}ReorderOutput`, [x], { channels: x.dims[1] });
  }

  /**
   * A blocked image as what it is in memory, `[batch, channels / size, …image, size]`, with the first
   * axes split further if `lead` says how.
   */
  open(x: Value, lead: readonly number[] = [x.dims[0], x.dims[1] / this.size]): Value {
    return this.g.reshape(x, [...lead, ...x.dims.slice(2), this.size]);
  }

  /**
   * A convolution of blocked images.
   *
   * @param weight `[filters, channels / group, …kernel]`, in the kernel's order (see {@linkcode filters})
   */
  conv(x: Value, weight: Value, attributes: Attributes, extras: Extras = {}): Value {
    const inputs = [x, weight, extras.bias ?? null, extras.sum ?? null];
    while (inputs.at(-1) === null) inputs.pop();
    return this.g.op(`${NCHWC}Conv`, inputs, {
      kernel_shape: weight.dims.slice(2),
      ...attributes,
      ...extras.attributes,
    });
  }

  /** x · slope + level, a slope and a level for each channel, plus `sum`: a kernel of one tap. */
  affine(x: Value, slope: Value, level?: Value, sum?: Value): Value {
    const channels = x.dims[1];
    const weight = this.g.reshape(slope, [channels, 1, 1, 1]);
    return this.conv(x, weight, { group: channels }, { bias: level, sum });
  }

  /** Σ x · y over each channel of all images, `[channels]`: images as kernels over one another. */
  dot(x: Value, y: Value): Value {
    const [batch, channels, ...image] = x.dims, group = batch * channels;
    const sums = this.conv(
      this.g.reshape(x, [1, group, ...image]),
      this.g.reshape(y, [group, 1, ...image]),
      { group },
    );
    return this.g.sum(this.g.reshape(sums, [batch, channels]), [0]);
  }

  /** The mean of each channel over all images, `[channels]`. */
  mean(x: Value): Value {
    const means = this.g.op(`${NCHWC}GlobalAveragePool`, [x]);
    return this.g.mean(this.g.reshape(means, x.dims.slice(0, 2)), [0]);
  }

  /** A weight `[filters, channels, …kernel]` in the order in which the kernel reads it. */
  filters(weight: Value): Value {
    const [filters, channels, ...kernel] = weight.dims, { g, size } = this, taps = sizeOf(kernel);
    if (channels < size) {
      const split = g.reshape(weight, [filters / size, size, channels, taps]);
      return g.reshape(g.transpose(split, [0, 2, 3, 1]), weight.dims);
    }
    const split = g.reshape(weight, [filters / size, size, channels / size, size, taps]);
    return g.reshape(g.transpose(split, [0, 2, 4, 3, 1]), weight.dims);
  }
}

/** A rule for blocked images; undefined where the operator does not fit them. */
export type BlockedRule = (blocks: Blocks, call: Application) => readonly Value[] | undefined;

/** A table of rules by operator. */
export type BlockedRules = Readonly<Record<string, BlockedRule>>;
