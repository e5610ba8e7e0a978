/**
 * How a text lies in columns before the ranks there are, whoever comes and goes. When they become others, what is left
 * of the pass, and what a lost rank had read since its last round, is laid out anew in the columns of those that go on,
 * and read first; then come whole passes again. What is laid out are words with the one that follows each, so that where
 * two parts meet none is read twice. So each word of a pass is read once, and which rank reads what is a function of the
 * worlds.
 *
 * @module
 */

import { Random } from "../../../runtime/base/random.ts";
import { lostOf, membersOf, type Worlds } from "../sampling/worlds.ts";
import { joined, Passage, type Stretch } from "./text_passage.ts";
import { Reading } from "./text_reading.ts";
import { batchify, LEAST_ROWS, type TextColumns } from "./text_columns.ts";
import type { Tokens } from "./tokens.ts";

/** What is laid out. */
export interface LayoutOptions {
  readonly tokens: Tokens;
  /** Columns of one rank. */
  readonly batchSize: number;
  readonly seed: number;
  /** Whether each pass deals the columns out at random, or each rank moves on to the next block of them. */
  readonly shuffles: boolean;
  /** Tokens by which a step goes down the columns. */
  length(step: number): number;
}

/** What one pass reads. */
interface Pass {
  readonly text: Passage;
  /** Those of all ranks. */
  readonly columns: TextColumns;
  /** Words from one column's first to the next one's. */
  readonly stride: number;
}

/** What lies before the ranks of one world. */
export class TextLayout {
  /** Steps done when it began. */
  readonly step: number;
  /** All ranks' way down the columns: epochs are counted down these. */
  readonly reading: Reading;
  /** How much of the first pass had been read. */
  readonly done: number;
  /** The pass that it begins with. */
  readonly first: number;
  readonly #options: LayoutOptions;
  readonly #ranks: number;
  readonly #whole: TextColumns;
  /** What is left of the first pass; null: all of it. */
  readonly #rest: Pass | null;
  /** The columns in the order of the ranks, in the pass that was asked for last. */
  #order: { readonly pass: number; readonly starts: Uint32Array } | null = null;

  /**
   * Those of all worlds, the last of which goes on.
   *
   * @param ranks how many there are, if no world says so
   */
  static of(worlds: Worlds, ranks: number, options: LayoutOptions): TextLayout[] {
    const [first = { step: 0, ranks }, ...others] = worlds;
    const layouts = [new TextLayout(first, 0, [], options)], members = [membersOf(first)];
    for (const world of others) {
      const before = layouts.at(-1)!, { pass } = before.reading.at(world.step);
      const lost = lostOf(world).flatMap(({ rank, since }) =>
        Array.from({ length: world.step - since }, (_, i) => {
          const step = since + i, at = layouts.findLastIndex((each) => each.step <= step);
          const place = members[at].indexOf(rank);
          return place < 0 ? [] : layouts[at].#read(step, place);
        }).flat()
      );
      const left = joined([...before.#leftAt(world.step), ...lost]);
      layouts.push(new TextLayout(world, pass, left, options));
      members.push(membersOf(world));
    }
    return layouts;
  }

  /**
   * @param pass with which it begins
   * @param left what is to be read in it; nothing: all of it
   */
  private constructor(
    { step, ranks }: { readonly step: number; readonly ranks: number },
    pass: number,
    left: readonly Stretch[],
    options: LayoutOptions,
  ) {
    const { tokens, batchSize, length } = options, columns = batchSize * ranks;
    const text = new Passage(tokens, left);
    this.step = step;
    this.#options = options;
    this.#ranks = ranks;
    this.#whole = batchify(0, tokens.length, columns);
    const all = tokens.length - 1;
    const isWhole = left.length === 0 || left.length === 1 && text.length === all;
    // What does not make columns is left over, as at the end of every pass.
    const fits = text.length >= LEAST_ROWS * columns;
    this.#rest = !isWhole && fits ? restOf(text, columns) : null;
    this.done = this.#rest ? Math.max(0, 1 - text.length / all) : 0;
    this.first = isWhole || fits ? pass : pass + 1;
    const from = { step, pass: this.first, rows: this.#rest?.columns.rows };
    this.reading = new Reading(this.#whole.rows, length, from);
  }

  /** Epochs done when `step` steps are done. */
  epoch(step: number): number {
    const { pass, row } = this.reading.at(step), part = row / this.reading.rowsOf(pass);
    return pass + (pass === this.first ? this.done + (1 - this.done) * part : part);
  }

  /** What a pass reads, and where a rank's columns of it begin, by its place among those there are. */
  columnsOf(pass: number, place: number): { readonly text: Passage; readonly starts: Uint32Array } {
    const { batchSize, shuffles, seed } = this.#options, { text, columns } = this.#passOf(pass);
    if (this.#order?.pass !== pass) {
      const all = columns.starts;
      const starts = shuffles
        ? new Random(seed, "columns", pass).permutation(all.length).map((column) => all[column])
        : all;
      this.#order = { pass, starts };
    }
    const block = shuffles ? place : (place + pass) % this.#ranks;
    const starts = this.#order.starts.subarray(block * batchSize, (block + 1) * batchSize);
    return { text, starts };
  }

  #passOf(pass: number): Pass {
    if (this.#rest && pass === this.first) return this.#rest;
    const text = Passage.whole(this.#options.tokens, pass), columns = this.#whole;
    return { text, columns, stride: columns.rows };
  }

  /** What has not been read of the pass in which a step is; with what its columns have left over. */
  #leftAt(step: number): Stretch[] {
    const { pass, row } = this.reading.at(step), { text, columns, stride } = this.#passOf(pass);
    const { starts } = columns;
    return [
      ...Array.from(starts, (start) => text.stretches(start + row, start + stride)).flat(),
      ...text.stretches(starts.length * stride, text.length),
    ];
  }

  /** What a rank has read in a step. */
  #read(step: number, place: number): Stretch[] {
    const { pass, row, rows } = this.reading.at(step);
    const { starts } = this.columnsOf(pass, place), { text } = this.#passOf(pass);
    return Array.from(starts, (start) => text.stretches(start + row, start + row + rows)).flat();
  }
}

/** What is left of a pass, in columns each of which reads all of its words. */
function restOf(text: Passage, columns: number): Pass {
  const { rows: stride, starts } = batchify(0, text.length, columns);
  return { text, columns: { rows: stride + 1, starts }, stride };
}
