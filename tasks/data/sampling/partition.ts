/**
 * Who holds which samples: the `--partition` option, parsed, checked and written back, and the parts of
 * a labelled set or of a text that it gives to each rank.
 *
 * @module
 */

import { Random } from "../../../runtime/base/random.ts";
import { dirichlet } from "../../../runtime/base/dirichlet.ts";
import { counted } from "../../../runtime/base/words.ts";
import type { Labels } from "../images/image_data_set.ts";

/** How the training data is divided among the ranks. */
export type Partition =
  /** All ranks share the set evenly: each epoch's shuffle is dealt out among them. */
  | { readonly kind: "iid" }
  /** Every rank samples the whole set by itself, as the paper's code does on CIFAR-10. */
  | { readonly kind: "whole" }
  /** Text: N blocks of columns, rank r takes block (r + epoch) mod N, as the paper's code does. */
  | { readonly kind: "rotate" }
  /** Parts of given sizes, in percent: consecutive parts of a text, shuffled parts of images. */
  | { readonly kind: "proportional"; readonly shares: readonly number[] }
  /** Each class is divided by its own draw from a symmetric Dirichlet distribution (Hsu et al. 2019). */
  | { readonly kind: "dirichlet"; readonly alpha: number }
  /** Sorted by label, cut into shards, `perRank` of them for each rank (McMahan et al. 2017). */
  | { readonly kind: "shards"; readonly perRank: number };

const FORMS = "iid, whole, rotate, proportional:P1,P2,… (percent, one for each rank), " +
  "dirichlet:ALPHA or shards:K";

/** Percentages are written with two decimals, so N of them may miss 100 by rounding. */
const SHARE_TOLERANCE = 0.1;

/**
 * Parses a `--partition` value.
 *
 * @throws {RangeError} when it is none of the known forms or a number in it is out of range
 * @example
 * ```ts
 * import { parsePartition } from "./partition.ts";
 * const partition = parsePartition("dirichlet:0.5");
 * console.assert(partition.kind === "dirichlet" && partition.alpha === 0.5);
 * ```
 */
export function parsePartition(text: string): Partition {
  const colon = text.indexOf(":");
  const kind = colon < 0 ? text : text.slice(0, colon);
  const value = colon < 0 ? null : text.slice(colon + 1);
  const refuse = (required: string): never => {
    throw new RangeError(`cannot use partition "${text}": ${required}`);
  };
  switch (kind) {
    case "iid":
    case "whole":
    case "rotate":
      if (value !== null) refuse(`${kind} takes no value`);
      return { kind };
    case "proportional": {
      const shares = (value ?? "").split(",").map(numberOf);
      if (!shares.every((share) => share > 0)) {
        refuse("proportional needs positive percentages, such as proportional:60,40");
      }
      const sum = shares.reduce((a, b) => a + b, 0);
      if (Math.abs(sum - 100) > SHARE_TOLERANCE) {
        refuse(`its percentages must sum to 100, they sum to ${Number(sum.toFixed(4))}`);
      }
      return { kind, shares };
    }
    case "dirichlet": {
      const alpha = numberOf(value ?? "");
      if (!(alpha > 0 && alpha < Infinity)) {
        refuse("dirichlet needs a positive concentration, such as dirichlet:0.5");
      }
      return { kind, alpha };
    }
    case "shards": {
      const perRank = numberOf(value ?? "");
      if (!(Number.isInteger(perRank) && perRank >= 1)) {
        refuse("shards needs a positive number of shards for each rank, such as shards:2");
      }
      return { kind, perRank };
    }
    default:
      return refuse(`a partition is ${FORMS}`);
  }
}

/** A decimal number, or NaN where the text is none (an empty one included). */
function numberOf(text: string): number {
  return /^\s*\d*\.?\d+(e[+-]?\d+)?\s*$/i.test(text) ? Number(text) : NaN;
}

/** The option value that {@linkcode parsePartition} reads back as `partition`. */
export function formatPartition(partition: Partition): string {
  switch (partition.kind) {
    case "proportional":
      return `proportional:${partition.shares.join(",")}`;
    case "dirichlet":
      return `dirichlet:${partition.alpha}`;
    case "shards":
      return `shards:${partition.perRank}`;
    default:
      return partition.kind;
  }
}

/**
 * Checks that a partition suits the kind of data and the number of ranks.
 *
 * @throws {RangeError} when it does not, with the partitions that do
 */
export function checkPartition(
  partition: Partition,
  job: { readonly data: "images" | "arrays" | "text"; readonly ranks: number },
): void {
  const { data, ranks } = job, { kind } = partition;
  const refuse = (why: string): never => {
    throw new RangeError(`cannot use partition "${formatPartition(partition)}": ${why}`);
  };
  if (data !== "text" && kind === "rotate") {
    refuse(`rotate moves blocks of a text between ranks; for ${data} take iid, whole or another`);
  }
  if (data === "text" && (kind === "whole" || kind === "dirichlet" || kind === "shards")) {
    refuse(`${kind} is for labelled images; for text take rotate, iid or proportional:P1,P2,…`);
  }
  if (kind === "proportional" && partition.shares.length !== ranks) {
    refuse(
      `one percentage for each of ${counted(ranks, "rank")} is required, found ` +
        `${partition.shares.length}`,
    );
  }
}

/** A labelled set to be divided. */
export interface PartitionImagesOptions {
  /** `[count]`, each below `classes`. */
  readonly labels: Labels;
  /** Number of classes. */
  readonly classes: number;
  /** Number of ranks. */
  readonly ranks: number;
  /** The job's seed. */
  readonly seed: number;
}

/**
 * The indices that each rank holds: every index exactly once over all ranks, at least one for each.
 * A pure function of its arguments, so that every rank computes the same division. `iid` and `whole`,
 * which hold no fixed parts while training (see `createImageSampler`), give equal shuffled parts.
 *
 * @throws {RangeError} when the partition is not for images or leaves a rank without samples
 */
export function partitionImages(
  partition: Partition,
  options: PartitionImagesOptions,
): Uint32Array[] {
  const { labels, ranks, seed } = options;
  checkPartition(partition, { data: "images", ranks });
  if (labels.length < ranks) {
    throw new RangeError(
      `cannot divide ${counted(labels.length, "image")} among ${
        counted(ranks, "rank")
      }: each needs one at least`,
    );
  }
  const random = new Random(seed, "partition", partition.kind);
  switch (partition.kind) {
    case "dirichlet":
      return dirichletParts(partition.alpha, options, random);
    case "shards":
      return shardParts(partition.perRank, options, random);
    default: {
      const order = random.permutation(labels.length);
      const ranges = cut(labels.length, sharesOf(partition, ranks));
      const empty = ranges.findIndex(({ start, end }) => start === end);
      if (empty >= 0) {
        throw new RangeError(
          `cannot divide ${counted(labels.length, "image")} among ${counted(ranks, "rank")} by ` +
            `"${formatPartition(partition)}": rank ${empty} would hold none`,
        );
      }
      return ranges.map(({ start, end }) => order.slice(start, end));
    }
  }
}

/** A run of tokens: `start` up to, but not including, `end`. */
export interface TokenRange {
  /** First token. */
  readonly start: number;
  /** One past the last token. */
  readonly end: number;
}

/**
 * The consecutive part of a text of `tokens` tokens that each rank holds: by its share with
 * `proportional`, else equal parts.
 *
 * @throws {RangeError} when the partition is not for text, or a part would hold fewer than 2 tokens
 */
export function partitionTokens(
  partition: Partition,
  options: { readonly tokens: number; readonly ranks: number },
): TokenRange[] {
  const { tokens, ranks } = options;
  checkPartition(partition, { data: "text", ranks });
  const ranges = cut(tokens, sharesOf(partition, ranks));
  for (let rank = 0; rank < ranks; rank++) {
    const held = ranges[rank].end - ranges[rank].start;
    if (held < 2) {
      throw new RangeError(
        `cannot divide ${counted(tokens, "token")} among ${counted(ranks, "rank")} by ` +
          `"${formatPartition(partition)}": rank ${rank} would hold ${held}, 2 are required`,
      );
    }
  }
  return ranges;
}

function sharesOf(partition: Partition, ranks: number): readonly number[] {
  return partition.kind === "proportional" ? partition.shares : new Array(ranks).fill(1);
}

/** Cuts 0 … count−1 at the rounded running sums of the shares. */
function cut(count: number, shares: readonly number[]): TokenRange[] {
  const total = shares.reduce((a, b) => a + b, 0);
  let sum = 0, start = 0;
  return shares.map((share, i) => {
    sum += share;
    // The last part ends at the end, whatever the running sum has lost to rounding.
    const end = i === shares.length - 1 ? count : Math.round(sum / total * count);
    const range = { start, end };
    start = end;
    return range;
  });
}

/** Indices of each class, shuffled within the class. */
function byClass(options: PartitionImagesOptions, random: Random): number[][] {
  const members: number[][] = Array.from({ length: options.classes }, () => []);
  for (const index of random.permutation(options.labels.length)) {
    members[options.labels[index]].push(index);
  }
  return members;
}

/** A draw that leaves a rank with nothing is drawn again, as is usual for this benchmark. */
const DIRICHLET_ATTEMPTS = 200;

function dirichletParts(
  alpha: number,
  options: PartitionImagesOptions,
  random: Random,
): Uint32Array[] {
  const { ranks, labels } = options;
  for (let attempt = 0; attempt < DIRICHLET_ATTEMPTS; attempt++) {
    const parts: number[][] = Array.from({ length: ranks }, () => []);
    for (const members of byClass(options, random)) {
      const ranges = cut(members.length, dirichlet(random, alpha, ranks));
      for (let rank = 0; rank < ranks; rank++) {
        for (let i = ranges[rank].start; i < ranges[rank].end; i++) parts[rank].push(members[i]);
      }
    }
    if (parts.every((part) => part.length > 0)) return parts.map((part) => Uint32Array.from(part));
  }
  throw new RangeError(
    `cannot divide ${counted(labels.length, "image")} among ${
      counted(ranks, "rank")
    } by "dirichlet:${alpha}": each of ` +
      `${DIRICHLET_ATTEMPTS} draws left a rank without images; take a larger concentration, ` +
      `fewer ranks or more images`,
  );
}

function shardParts(
  perRank: number,
  options: PartitionImagesOptions,
  random: Random,
): Uint32Array[] {
  const { ranks, labels } = options, shards = ranks * perRank;
  if (labels.length < shards) {
    throw new RangeError(
      `cannot divide ${counted(labels.length, "image")} by "shards:${perRank}": ${
        counted(ranks, "rank")
      } would need ` +
        `${counted(shards, "shard")} of one image at least; take fewer shards or more images`,
    );
  }
  const sorted = Uint32Array.from(byClass(options, random).flat());
  const ranges = cut(sorted.length, new Array(shards).fill(1));
  const order = random.permutation(shards);
  return Array.from({ length: ranks }, (_, rank) => {
    const part: number[] = [];
    for (const shard of order.subarray(rank * perRank, (rank + 1) * perRank)) {
      for (let i = ranges[shard].start; i < ranges[shard].end; i++) part.push(sorted[i]);
    }
    return Uint32Array.from(part);
  });
}
