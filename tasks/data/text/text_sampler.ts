/**
 * The order in which a text is read while training: windows of random length down the columns of a
 * batch, pass after pass. What rank r reads at step t is a pure function of (seed, r, t).
 *
 * @module
 */

import { checkPartition, type Partition, partitionTokens } from "../sampling/partition.ts";
import type { Worlds } from "../sampling/worlds.ts";
import { sequenceLength } from "./sequence_length.ts";
import type { Tokens } from "./tokens.ts";
import { batchify, copyWindow } from "./text_columns.ts";
import { TextLayout } from "./text_layout.ts";
import { Passage } from "./text_passage.ts";
import { Reading } from "./text_reading.ts";

/** What one rank reads in one step. */
export interface TextWindow {
  /** Which step, from 0. */
  readonly step: number;
  /** Passes that this rank has finished over the data it reads. */
  readonly pass: number;
  /** Rows of the window: tokens that each column advances by. */
  readonly length: number;
  /** The length that was drawn, before the end of the data cut it. */
  readonly drawnLength: number;
  /** Whether the text does not go on where the last window ended: the carried state must be zeroed. */
  readonly restart: boolean;
  /** `[length, batchSize]` word numbers. */
  readonly input: Int32Array;
  /** `[length, batchSize]`: the words that follow. */
  readonly target: Int32Array;
}

/** One rank's way through the training text. */
export interface TextSampler {
  /** Columns of one rank. */
  readonly batchSize: number;
  /** No window of this rank is longer. */
  readonly maxLength: number;
  /**
   * Epochs done when `step` steps are done: whole epochs and the part of the next one. The same on all
   * ranks.
   */
  epoch(step: number): number;
  /** Steps of a first epoch that begins at the beginning. The same on all ranks. */
  readonly stepsPerEpoch: number;
  /** Where the world of these ranks begins: at 0, or where those before it left off. */
  readonly begins: { readonly step: number; readonly epoch: number };
  /** The first step of epoch `epoch` (from 0): what the epochs before it take. The same on all ranks. */
  firstStep(epoch: number): number;
  /** What this rank reads in step `step` (from 0). The arrays are the caller's. */
  window(step: number): TextWindow;
}

/** What a text sampler reads, and for whom. */
export interface TextSamplerOptions {
  /** The training text. */
  readonly tokens: Tokens;
  /** Columns of one rank. */
  readonly batchSize: number;
  /** This rank. */
  readonly rank: number;
  /** Number of ranks. */
  readonly ranks: number;
  /** The job's seed. */
  readonly seed: number;
  /**
   * Mean sequence length in tokens.
   * @default {70}
   */
  readonly bptt?: number;
  /**
   * No sequence is longer.
   * @default {Infinity}
   */
  readonly longest?: number;
  /**
   * Who reads which part.
   * @default {{ kind: "rotate" }}
   */
  readonly partition?: Partition;
  /**
   * The worlds that the run has had, up to the one of `ranks`.
   * @default {that one alone}
   */
  readonly worlds?: Worlds | undefined;
}

/**
 * This rank's way through the training text.
 *
 * With `rotate` (the paper's code) the text is laid out in ranks · batchSize columns, N blocks of
 * batchSize, and rank r reads block (r + epoch) mod N. With `iid` the same columns are dealt out anew at
 * random each epoch. With `proportional` each rank keeps its own consecutive part, in batchSize columns;
 * a smaller part begins again sooner, while epochs are counted by the mean part.
 *
 * An epoch ends where fewer than 2 rows are left, as in the reference code.
 *
 * After a change of the ranks what is left of the pass is laid out anew in the columns there are then, with what a rank
 * that was lost had read since its last round, and is read with an empty state; so the pass still has each word once.
 * Where two parts of the text meet in a column, the state goes on from one to the other. With `proportional` each rank
 * goes on in its part from as far down as all had come.
 *
 * @throws {RangeError} when an option is out of range or the text too short for the columns
 */
export function createTextSampler(options: TextSamplerOptions): TextSampler {
  const { tokens, batchSize, rank, ranks, seed, bptt, longest } = options;
  const partition = options.partition ?? { kind: "rotate" };
  if (!Number.isInteger(rank) || rank < 0 || rank >= ranks) {
    throw new RangeError(`a rank is an integer from 0 to ${ranks - 1}, not ${rank}`);
  }
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new RangeError(`a batch size is a positive integer, not ${batchSize}`);
  }
  checkPartition(partition, { data: "text", ranks });
  const length = (step: number) => sequenceLength(seed, step, { bptt, longest });
  const shuffles = partition.kind === "iid";
  const layouts = TextLayout.of(options.worlds ?? [], ranks, {
    ...{ tokens, batchSize, seed, shuffles, length },
  });
  const layout = layouts.at(-1)!, { reading: clock, step: since } = layout;
  let own = clock;
  let columnsOf = (pass: number) => layout.columnsOf(pass, rank);
  if (partition.kind === "proportional") {
    const { start, end } = partitionTokens(partition, { tokens: tokens.length, ranks })[rank];
    const { rows, starts } = batchify(start, end, batchSize);
    const from = { step: since, pass: layout.first, row: Math.floor(layout.done * rows) };
    own = new Reading(rows, length, from);
    const text = Passage.whole(tokens, layout.first);
    columnsOf = () => ({ text, starts });
  }
  return {
    batchSize,
    maxLength: Math.min(Math.max(own.rows, own.rowsOf(layout.first)) - 1, longest ?? Infinity),
    // What follows the last step of the ranks before may be done by these.
    epoch: (step) => layouts.findLast((each) => each.step <= step)!.epoch(step),
    stepsPerEpoch: since === 0
      ? clock.firstStep(1)
      : new Reading(clock.rows, length, { step: 0, pass: 0 }).firstStep(1),
    begins: { step: since, epoch: layout.epoch(since) },
    firstStep: (epoch) => clock.firstStep(epoch),
    window(step) {
      const { pass, row, rows, drawn } = own.at(step);
      const input = new Int32Array(rows * batchSize), target = new Int32Array(rows * batchSize);
      const { text, starts } = columnsOf(pass);
      copyWindow(text, starts, row, rows, input, target);
      return {
        step,
        pass,
        length: rows,
        drawnLength: drawn,
        restart: row === 0 || step === since,
        input,
        target,
      };
    },
  };
}
