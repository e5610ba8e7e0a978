/**
 * The parts of the weights that are averaged by themselves, `--fragments`.
 *
 * @module
 */

import type { DeviceState } from "../../runtime/devices/device.ts";
import { OptionError } from "../options/kinds.ts";
import { type Slice, WeightsPart } from "./weights_part.ts";

/** What parts are made of. */
export interface Fragmentation {
  /** Trained weights first, then running statistics. */
  readonly weights: Pick<DeviceState, "specs" | "range" | "length">;
  /** How many floats of the weights are trained. */
  readonly parameterCount: number;
  /** Whether running statistics are averaged, with the weights of their layer. */
  readonly statistics: boolean;
  /** Whether trained weights are equal anyway, and are not sent. @default {false} */
  readonly alike?: boolean;
}

/**
 * Cuts the weights into parts: whole parameters that follow each other, so that the largest part is as small as
 * it can be. Running statistics go with the parameters of their layer.
 *
 * @param count parts; one is all weights
 * @throws OptionError if there are more parts than parameters
 */
export function fragmentsOf(
  { weights, parameterCount, statistics, alike = false }: Fragmentation,
  count: number,
): WeightsPart[] {
  const named = weights.specs.map(({ name }) => ({ name, ...weights.range(name) }));
  const parameters = named.filter(({ offset }) => offset < parameterCount);
  if (count > parameters.length) {
    throw new OptionError(
      `--fragments ${count} are more parts than the network has parameters, ${parameters.length}`,
    );
  }
  const groups = balanced(parameters, count, ({ length }) => length);
  const layers = new Map(
    groups.flatMap((group, i) => group.map(({ name }) => [layerOf(name), i] as const)),
  );
  const shared: Slice[][] = groups.map(() => []);
  if (statistics) {
    for (const each of named.slice(parameters.length)) {
      shared[layers.get(layerOf(each.name)) ?? count - 1].push(each);
    }
  }
  return groups.map((group, i) => {
    const first = group[0], last = group.at(-1)!;
    const length = alike ? 0 : last.offset + last.length - first.offset;
    const trained = { offset: first.offset, length };
    return new WeightsPart(trained, shared[i]);
  });
}

/** For example `layer1.0.bn1` of `layer1.0.bn1.running_mean`. */
const layerOf = (name: string) => name.slice(0, Math.max(0, name.lastIndexOf(".")));

/** The items in so many groups of neighbours, none empty, whose largest is as small as it can be. */
function balanced<T>(items: readonly T[], count: number, size: (item: T) => number): T[][] {
  const sizes = items.map(size);
  let low = Math.max(...sizes), high = sizes.reduce((sum, each) => sum + each, 0);
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (filled(sizes, middle, 1).length <= count) high = middle;
    else low = middle + 1;
  }
  let from = 0;
  return filled(sizes, low, count).map((length) => items.slice(from, from += length));
}

/** How many items each group holds if none is larger than `most`, and there are at least so many groups. */
function filled(sizes: readonly number[], most: number, groups: number): number[] {
  const counts: number[] = [];
  let sum = Infinity;
  for (const [i, size] of sizes.entries()) {
    const needed = sizes.length - i === groups - counts.length;
    if (sum + size > most || needed) {
      counts.push(0);
      sum = 0;
    }
    counts[counts.length - 1]++;
    sum += size;
  }
  return counts;
}
