/**
 * The order in which a text is read while training: windows of random length down the columns of a
 * batch, pass after pass. What rank r reads at step t is a pure function of (seed, r, t).
 *
 * @module
 */

import { Random } from "../../../runtime/base/random.ts";
import { checkPartition, type Partition, partitionTokens } from "../sampling/partition.ts";
import type { Worlds } from "../sampling/worlds.ts";
import { sequenceLength } from "./sequence_length.ts";
import type { Tokens } from "./tokens.ts";
import { batchify, copyWindow, type TextColumns } from "./text_columns.ts";

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
 * After a change of the number of ranks the text is laid out anew, and all columns go on, with an empty
 * state, from as far down as those before had come.
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

  // All ranks' columns: epochs are counted down these, whatever part a rank itself reads.
  const joint = batchify(0, tokens.length, batchSize * ranks);
  const rowsOf = (ranks: number) => batchify(0, tokens.length, batchSize * ranks).rows;
  const { step: since, pass: pass0, down, earlier } = begin(options.worlds ?? [], rowsOf, length);
  const from = (rows: number) => ({ step: since, pass: pass0, row: Math.floor(down * rows) });
  const clock = new Reading(joint.rows, length, from(joint.rows));
  let own = clock;
  let columnsOf: (pass: number) => Uint32Array;
  if (partition.kind === "proportional") {
    const { start, end } = partitionTokens(partition, { tokens: tokens.length, ranks })[rank];
    const part = batchify(start, end, batchSize);
    own = new Reading(part.rows, length, from(part.rows));
    columnsOf = () => part.starts;
  } else {
    columnsOf = partition.kind === "rotate"
      ? (pass) => block(joint, (rank + pass) % ranks, batchSize)
      : dealer(joint, seed, rank, batchSize);
  }
  return {
    batchSize,
    maxLength: Math.min(own.rows - 1, longest ?? Infinity),
    epoch(step) {
      // What follows the last step of the ranks before may be done by these.
      const reading = earlier.find((_, i) => step < (earlier[i + 1] ?? clock).step) ?? clock;
      const { pass, row } = reading.at(step);
      return pass + row / reading.rows;
    },
    stepsPerEpoch: since === 0
      ? clock.firstStep(1)
      : new Reading(joint.rows, length, BEGINNING).firstStep(1),
    begins: { step: since, epoch: clock.at(since).pass + clock.at(since).row / joint.rows },
    firstStep: (epoch) => clock.firstStep(epoch),
    window(step) {
      const { pass, row, rows, drawn } = own.at(step);
      const input = new Int32Array(rows * batchSize), target = new Int32Array(rows * batchSize);
      copyWindow(tokens, columnsOf(pass), row, rows, input, target);
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

function block(columns: TextColumns, index: number, batchSize: number): Uint32Array {
  return columns.starts.subarray(index * batchSize, (index + 1) * batchSize);
}

/** Deals the columns out to the ranks at random, anew for each pass; keeps the last deal. */
function dealer(
  columns: TextColumns,
  seed: number,
  rank: number,
  batchSize: number,
): (pass: number) => Uint32Array {
  let kept = -1, starts = new Uint32Array();
  return (pass) => {
    if (pass !== kept) {
      const order = new Random(seed, "columns", pass).permutation(columns.starts.length);
      starts = order.slice(rank * batchSize, (rank + 1) * batchSize)
        .map((column) => columns.starts[column]);
      kept = pass;
    }
    return starts;
  };
}

/** A step's place: its pass and its first row. */
interface Place {
  readonly step: number;
  readonly pass: number;
  readonly row: number;
}

const BEGINNING: Place = { step: 0, pass: 0, row: 0 };

/**
 * Where the last of some worlds begins: its step, its pass, and how much of the way down the columns; and how those
 * before it have read.
 */
function begin(
  worlds: Worlds,
  rowsOf: (ranks: number) => number,
  length: (step: number) => number,
): { step: number; pass: number; down: number; earlier: readonly Reading[] } {
  let at = { step: 0, pass: 0, down: 0 };
  const earlier: Reading[] = [];
  for (let i = 1; i < worlds.length; i++) {
    const { step } = worlds[i], rows = rowsOf(worlds[i - 1].ranks);
    const reading = new Reading(rows, length, { ...at, row: Math.floor(at.down * rows) });
    const { pass, row } = reading.at(step);
    earlier.push(reading);
    at = { step, pass, down: row / rows };
  }
  return { ...at, earlier };
}

/** Where step after step stands on its way down columns of `rows` tokens, again and again. */
class Reading {
  // By step since the first. Each follows from the one before, so what has been walked is kept: 16 bytes a step.
  readonly #rowOf: number[];
  readonly #passOf: number[];
  /** By pass since the first. */
  readonly #firstSteps: number[];
  readonly #from: Place;

  /** @param from where it begins: no earlier step is known */
  constructor(
    readonly rows: number,
    readonly length: (step: number) => number,
    from: Place,
  ) {
    // A window has at least a row, and one that follows.
    const row = Math.max(0, Math.min(from.row, rows - 3));
    this.#from = from;
    this.#rowOf = [row];
    this.#passOf = [from.pass];
    this.#firstSteps = [from.step];
  }

  /** The first step that is known. */
  get step(): number {
    return this.#from.step;
  }

  /** Step `step`'s pass, first row, number of rows and drawn length. */
  at(step: number): { pass: number; row: number; rows: number; drawn: number } {
    const { step: first } = this.#from, index = step - first;
    if (!Number.isSafeInteger(step) || index < 0) {
      throw new RangeError(`a step is an integer from ${first} on, not ${step}`);
    }
    while (this.#rowOf.length <= index) this.#walk();
    const row = this.#rowOf[index], drawn = this.length(step);
    return { pass: this.#passOf[index], row, rows: Math.min(drawn, this.rows - 1 - row), drawn };
  }

  firstStep(pass: number): number {
    const index = pass - this.#from.pass;
    if (!Number.isSafeInteger(pass) || index < 0) {
      throw new RangeError(`an epoch is an integer from ${this.#from.pass} on, not ${pass}`);
    }
    while (this.#firstSteps.length <= index) this.#walk();
    return this.#firstSteps[index];
  }

  #walk(): void {
    const last = this.#rowOf.length - 1, step = this.#from.step + last;
    let row = this.#rowOf[last] + this.length(step), pass = this.#passOf[last];
    if (row >= this.rows - 2) {
      row = 0;
      pass++;
      this.#firstSteps.push(step + 1);
    }
    this.#rowOf.push(row);
    this.#passOf.push(pass);
  }
}
