/**
 * Where step after step stands on its way down the columns of a text.
 *
 * @module
 */

/** Where reading begins. */
export interface Beginning {
  /** The first step. */
  readonly step: number;
  readonly pass: number;
  /** The first row. @default {0} */
  readonly row?: number;
  /** Rows of the first pass. @default {those of all} */
  readonly rows?: number | undefined;
}

/** The way down columns of `rows` tokens, again and again. */
export class Reading {
  // By step since the first. Each follows from the one before, so what has been walked is kept: 16 bytes a step.
  readonly #rowOf: number[];
  readonly #passOf: number[];
  /** By pass since the first. */
  readonly #firstSteps: number[];
  readonly #from: Beginning;

  /**
   * @param rows of a pass
   * @param length tokens by which a step goes down
   * @param from where it begins: no earlier step is known
   */
  constructor(
    readonly rows: number,
    readonly length: (step: number) => number,
    from: Beginning,
  ) {
    this.#from = from;
    // A window has at least a row, and one that follows.
    this.#rowOf = [Math.max(0, Math.min(from.row ?? 0, this.rowsOf(from.pass) - 3))];
    this.#passOf = [from.pass];
    this.#firstSteps = [from.step];
  }

  /** Rows of a pass. */
  rowsOf(pass: number): number {
    return pass === this.#from.pass ? this.#from.rows ?? this.rows : this.rows;
  }

  /** Step `step`'s pass, first row, number of rows and drawn length. */
  at(step: number): { pass: number; row: number; rows: number; drawn: number } {
    const { step: first } = this.#from, index = step - first;
    if (!Number.isSafeInteger(step) || index < 0) {
      throw new RangeError(`a step is an integer from ${first} on, not ${step}`);
    }
    while (this.#rowOf.length <= index) this.#walk();
    const row = this.#rowOf[index], pass = this.#passOf[index], drawn = this.length(step);
    return { pass, row, rows: Math.min(drawn, this.rowsOf(pass) - 1 - row), drawn };
  }

  /** The first step of a pass. */
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
    if (row >= this.rowsOf(pass) - 2) {
      row = 0;
      pass++;
      this.#firstSteps.push(step + 1);
    }
    this.#rowOf.push(row);
    this.#passOf.push(pass);
  }
}
