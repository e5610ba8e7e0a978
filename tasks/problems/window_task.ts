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
  const { batchSize, bptt } = options;
  const windows = new TrainingWindows(train, options, rank, worlds);
  const split = (name: "valid" | "test", tokens: Tokens) =>
    windowSplit(name, tokens, options, rank, wholeBatches);
  return {
    trainSamples: train.length,
    stepsPerEpoch: windows.stepsPerEpoch,
    steps: (epochs) => windows.steps(epochs),
    epoch: (steps) => windows.epoch(steps),
    batch(t) {
      const feeds = windowFeeds(batchSize, bptt);
      for (let row = 0; row < batchSize; row++) {
        copy(train, windows.firstToken(t - 1, row), bptt, feeds, row * bptt);
      }
      return { feeds, length: bptt, samples: batchSize * bptt };
    },
    splits: [split("valid", valid), split("test", test)],
    perplexity: true,
  };
}

/** The windows of the training text, in the order in which a rank learns from them. */
class TrainingWindows {
  readonly #options: WindowTaskOptions;
  readonly #rank: number;
  /** Windows of the whole text. */
  readonly #total: number;
  /** The first token of those that are dealt out. */
  readonly #start: number;
  readonly #shuffles: Shuffles;
  /** Whether they are dealt out to all ranks, not a part of the text's own to each. */
  readonly #joint: boolean;
  readonly #deal: Deal;

  constructor(
    { length }: Tokens,
    options: WindowTaskOptions,
    rank: number,
    worlds: Worlds,
  ) {
    const { batchSize, ranks, seed, bptt } = options;
    const partition = parsePartition(options.partition);
    checkPartition(partition, { data: "text", ranks });
    const { start, end } = partition.kind === "proportional"
      ? partitionTokens(partition, { tokens: length, ranks })[rank]
      : { start: 0, end: length };
    const count = Math.floor((end - start - 1) / bptt);
    this.#total = Math.floor((length - 1) / bptt);
    if (count < 1 || this.#total < ranks * batchSize) {
      throw new RangeError(
        `a text of ${counted(length, "token")} has no windows of ${counted(bptt, "token")} for ` +
          `${counted(ranks, "rank")} with ${counted(batchSize, "column")}`,
      );
    }
    this.#options = options;
    this.#rank = rank;
    this.#start = start;
    this.#shuffles = new Shuffles(count, seed, ["windows"]);
    this.#joint = partition.kind !== "proportional";
    this.#deal = Deal.of(worlds, batchSize, BY_BATCHES, ranks);
  }

  /** Steps in which all ranks together take as many windows as there are. */
  get stepsPerEpoch(): number {
    return this.#total / this.#windowsPerStep;
  }

  /** Steps after which so many epochs are done. */
  steps(epochs: number): number {
    return Math.ceil(epochs * this.stepsPerEpoch - this.#deal.ahead / this.#windowsPerStep);
  }

  /** Epochs done when `steps` steps are done. */
  epoch(steps: number): number {
    return this.#deal.counted(steps) / this.#total;
  }

  /** Where in the text a window begins: the one in a row of a step's batch; steps are counted from 0. */
  firstToken(step: number, row: number): number {
    const { batchSize, bptt } = this.#options;
    const place = this.#joint ? this.#deal.place(step, row, this.#rank) : step * batchSize + row;
    return this.#start + this.#shuffles.at(place) * bptt;
  }

  /** Windows of all ranks in one step. */
  get #windowsPerStep(): number {
    return this.#options.ranks * this.#options.batchSize;
  }
}

/**
 * This rank's share of an evaluation.
 *
 * @throws RangeError if only whole windows are to be evaluated, and there is none
 */
function windowSplit(
  name: "valid" | "test",
  tokens: Tokens,
  { batchSize: most, ranks, bptt, evalTokens }: WindowTaskOptions,
  rank: number,
  wholeBatches: boolean,
): Split {
  const predicted = Math.min(tokens.length - 1, evalTokens ?? Infinity);
  if (wholeBatches && predicted < bptt) {
    const limit = evalTokens === null ? "" : ` (--eval-tokens ${evalTokens})`;
    throw new RangeError(
      `the ${name} text has ${
        counted(tokens.length, "token")
      }, of which ${predicted} are predicted${limit}: ` +
        `no whole window of --bptt ${bptt}, and the model's own loss would count what fills one up`,
    );
  }
  const predictions = wholeBatches ? predicted - predicted % bptt : predicted;
  const windows = Math.ceil(predictions / bptt);
  let batchSize = most;
  while (wholeBatches && windows % batchSize !== 0) batchSize--;
  return {
    name,
    samples: predictions,
    batchSize,
    length: bptt,
    *batches() {
      for (let first = rank * batchSize; first < windows; first += ranks * batchSize) {
        const feeds = windowFeeds(batchSize, bptt);
        for (let row = 0; row < batchSize; row++) {
          const at = (first + row) * bptt;
          copy(tokens, at, Math.min(bptt, predictions - at), feeds, row * bptt);
        }
        yield feeds;
      }
    },
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
