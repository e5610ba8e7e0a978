/**
 * The records of runs as CSV (RFC 4180) for notebooks and spreadsheets: one file for steps, one for rounds, one
 * for evaluations, one line for each record.
 *
 * @module
 */

import { loadCsv } from "../../deps.ts";
import { NUMBERS } from "../logs/records.ts";
import type { RunLog } from "../logs/run_log.ts";
import { writeAll, writeOutput } from "../run/write_error.ts";

/** Lines that are put together before they are written. */
const CHUNK_LINES = 10_000;

/** The records of one kind. */
interface Kind {
  /** Part of the file's name. */
  readonly name: string;
  readonly fields: readonly string[];
  /** The records that hold, in order, without those that a restart has logged anew. */
  rows(log: RunLog): Iterable<readonly (number | string)[]>;
}

const KINDS: readonly Kind[] = [
  {
    name: "steps",
    fields: NUMBERS.step,
    *rows({ steps }) {
      const columns = NUMBERS.step.map((field) => steps.column(field));
      for (const row of steps.rows()) yield columns.map((column) => column[row]);
    },
  },
  {
    name: "rounds",
    fields: NUMBERS.round,
    *rows({ rounds }) {
      const columns = NUMBERS.round.map((field) => rounds.column(field));
      for (const row of rounds.rows()) yield columns.map((column) => column[row]);
    },
  },
  {
    name: "evaluations",
    fields: ["split", ...NUMBERS.eval],
    *rows({ evals, splits }) {
      const columns = NUMBERS.eval.map((field) => evals.column(field));
      const rows = evals.rows((row) => splits[row]);
      for (const row of rows) yield [splits[row], ...columns.map((column) => column[row])];
    },
  },
];

/**
 * Writes the records of some runs; numbers that a record does not have are empty.
 *
 * @param labels what tells the runs apart, in the first column
 * @param base the files are called `<base>-steps.csv`, `<base>-rounds.csv` and `<base>-evaluations.csv`
 * @returns the files
 */
export async function writeCsv(
  logs: readonly RunLog[],
  labels: readonly string[],
  base: string,
): Promise<string[]> {
  const { stringify } = await loadCsv();
  const files: string[] = [];
  for (const { name, fields, rows } of KINDS) {
    const path = `${base}-${name}.csv`;
    await writeOutput(path, async (file) => {
      const write = (lines: readonly (readonly string[])[]) => writeAll(file, stringify(lines));
      let lines: string[][] = [["run", ...fields]];
      for (const [index, log] of logs.entries()) {
        for (const row of rows(log)) {
          lines.push([
            labels[index],
            ...row.map((value) => Number.isNaN(value) ? "" : String(value)),
          ]);
          if (lines.length < CHUNK_LINES) continue;
          await write(lines);
          lines = [];
        }
      }
      await write(lines);
    });
    files.push(path);
  }
  return files;
}
