/**
 * What `bench gpu` has found out so far, in two files that are whole at any time.
 *
 * @module
 */

import type { Measurement } from "./measure.ts";
import { tablesOf } from "./tables.ts";

/** What all parts have said. */
export interface Findings {
  readonly date: string;
  /** When it was to have ended. */
  readonly minutes: number;
  /** How long it has taken, in seconds. */
  readonly seconds: number;
  readonly measurements: readonly Measurement[];
  /** Part, and why something of it is missing. */
  readonly leftOut: readonly { readonly part: string; readonly why: string }[];
}

/** Collects measurements; every one of them is in the files at once. */
export class Report {
  readonly #files: { readonly json: string; readonly tables: string };
  readonly #minutes: number;
  readonly #date = new Date().toISOString();
  readonly #measurements: Measurement[] = [];
  readonly #leftOut: { part: string; why: string }[] = [];
  #complained = false;

  /** @param file for JSON; tables go beside it, to a name that ends with .md instead */
  constructor(file: string, minutes: number) {
    this.#files = { json: file, tables: file.replace(/(\.json)?$/, ".md") };
    this.#minutes = minutes;
    this.#save();
  }

  add(measurement: Measurement): void {
    this.#measurements.push(measurement);
    this.#save();
  }

  leaveOut(part: string, why: string): void {
    this.#leftOut.push({ part, why });
    this.#save();
  }

  /** The tables as of now, in Markdown. */
  get tables(): string {
    return tablesOf(this.#findings());
  }

  #findings(): Findings {
    return {
      date: this.#date,
      minutes: this.#minutes,
      seconds: Math.round(performance.now() / 1000),
      measurements: this.#measurements,
      leftOut: this.#leftOut,
    };
  }

  /** Where that cannot be, the tables are still printed. */
  #save(): void {
    try {
      replace(this.#files.json, JSON.stringify(this.#findings(), null, 1));
      replace(this.#files.tables, `${this.tables}\n`);
    } catch (error) {
      if (!this.#complained) console.error(`not saved: ${(error as Error).message}`);
      this.#complained = true;
    }
  }
}

/** Writes a file that has its old content or the new one whenever it is read. */
function replace(file: string, text: string): void {
  Deno.writeTextFileSync(`${file}.part`, text);
  Deno.renameSync(`${file}.part`, file);
}
