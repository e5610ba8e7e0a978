/**
 * A text as a task for models that read windows of one length and carry nothing from one to the next,
 * such as transformers.
 *
 * @module
 */

import { counted } from "../../runtime/base/words.ts";
import { checkPartition, parsePartition, partitionTokens } from "../data/sampling/partition.ts";
import { BY_BATCHES, Deal } from "../data/sampling/deal.ts";
import { Shuffles } from "../data/sampling/shuffles.ts";
import type { Worlds } from "../data/sampling/worlds.ts";
import type { Tokens, TokenSplits } from "../data/text/tokens.ts";
import type { Options } from "../options/table.ts";
import type { Feeds, Split, Task } from "../task.ts";

/** The options of a run that windows need. */
export type WindowTaskOptions = Pick<
  Options,
  "batchSize" | "ranks" | "seed" | "partition" | "bptt" | "evalTokens"
>;

/** How the model wants its evaluation fed; a model may be given as it is. */
export interface WindowTaskParts {
  /** Whether no batch may be filled up: the rest of a text that makes no window is left out. @default {false} */
  readonly wholeBatches?: boolean | undefined;
}

/**
 * Language modelling on windows: `input` int32 `[batch, bptt]`, `target` the words that follow.
 *
 * The training text is cut into windows of `bptt` tokens that follow each other; each epoch takes them in an
 * order of its own, dealt out to the ranks. With the partition `proportional` each rank keeps to the windows
 * of its own part. In an evaluation every token but the text's first is predicted once, from those before it
 * in its window.
 *
 * After a change of the number of ranks, the ranks go on in the joint order where those before left off, and take
 * over what a rank that was lost had taken since its last round; with
 * `proportional` each at its own step in the part that is its then.
 *
 * @param worlds that the run has had; by default the one of the options alone
 * @throws RangeError when the text has no window for each rank, or an evaluation that takes whole batches
 *   has none
 */
export function windowTask(
  { train, valid, test }: TokenSplits,
  options: WindowTaskOptions,
  rank: number,
  { wholeBatches = false }: WindowTaskParts = {},
  worlds: Worlds = [],
): Task {
  const { batchSize, ranks, seed, bptt, evalTokens } = options;
  const partition = parsePartition(options.partition);
  checkPartition(partition, { data: "text", ranks });
  const proportional = partition.kind === "proportional";
  const [start, end] = proportional ? partOf(rank) : [0, train.length];
  const count = Math.floor((end - start - 1) / bptt);
  const total = Math.floor((train.length - 1) / bptt);
  if (count < 1 || total < ranks * batchSize) {
    throw new RangeError(
      `a text of ${counted(train.length, "token")} has no windows of ${
        counted(bptt, "token")
      } for ${counted(ranks, "rank")} with ` +
        counted(batchSize, "column"),
    );
  }

  function partOf(rank: number): [number, number] {
    if (partition.kind !== "proportional") throw new RangeError("no rank has a part of its own");
    const part = partitionTokens(partition, { tokens: train.length, ranks })[rank];
    return [part.start, part.end];
  }

  const deal = Deal.of(worlds, batchSize, BY_BATCHES, ranks);
  const windows = new Shuffles(count, seed, ["windows"]);
  /** The first token of the n-th window that is read. */
  const windowAt = (n: number): number => start + windows.at(n) * bptt;

  const split = (name: "valid" | "test", tokens: Tokens): Split => {
    const most = Math.min(tokens.length - 1, evalTokens ?? Infinity);
    if (wholeBatches && most < bptt) {
      throw new RangeError(
        `the ${name} text has ${counted(tokens.length, "token")}, of which ${most} are predicted` +
          `${
            evalTokens === null ? "" : ` (--eval-tokens ${evalTokens})`
          }: no whole window of --bptt ` +
          `${bptt}, and the model's own loss would count what fills one up`,
      );
    }
    const predictions = wholeBatches ? most - most % bptt : most;
    const windows = Math.ceil(predictions / bptt);
    let size = batchSize;
    while (wholeBatches && windows % size !== 0) size--;
    return {
      name,
      samples: predictions,
      batchSize: size,
      length: bptt,
      *batches() {
        for (let first = rank * size; first < windows; first += ranks * size) {
          const feeds = windowFeeds(size, bptt);
          for (let row = 0; row < size; row++) {
            const at = (first + row) * bptt;
            copy(tokens, at, Math.min(bptt, predictions - at), feeds, row * bptt);
          }
          yield feeds;
        }
      },
    };
  };
  return {
    trainSamples: train.length,
    stepsPerEpoch: total / (ranks * batchSize),
    steps: (epochs) =>
      Math.ceil(epochs * (total / (ranks * batchSize)) - deal.ahead / (ranks * batchSize)),
    epoch: (steps) => deal.counted(steps) / total,
    batch(t) {
      const feeds = windowFeeds(batchSize, bptt);
      for (let row = 0; row < batchSize; row++) {
        const place = proportional ? (t - 1) * batchSize + row : deal.place(t - 1, row, rank);
        copy(train, windowAt(place), bptt, feeds, row * bptt);
      }
      return { feeds, length: bptt, samples: batchSize * bptt };
    },
    splits: [split("valid", valid), split("test", test)],
    perplexity: true,
  };
}

/** Feeds in which nothing counts yet. */
function windowFeeds(batchSize: number, length: number) {
  const size = batchSize * length, dims = [batchSize, length];
  return {
    input: { type: "int32", dims, data: new Int32Array(size) },
    target: { type: "int32", dims, data: new Int32Array(size).fill(-1) },
  } satisfies Feeds;
}

/** Copies `count` words, and those that follow each, to position `to` of a batch. */
function copy(
  tokens: Tokens,
  from: number,
  count: number,
  { input, target }: ReturnType<typeof windowFeeds>,
  to: number,
): void {
  if (count <= 0) return;
  const window = tokens.slice(from, from + count + 1);
  input.data.set(window.subarray(0, -1), to);
  target.data.set(window.subarray(1), to);
}
