/**
 * A report on runs, as a page of its own.
 *
 * @module
 */

import { basename, resolve } from "node:path";
import { isSystemError, systemReason } from "../../runtime/base/system_error.ts";
import { reportData } from "./report_data.ts";
import { writeCsv } from "./csv.ts";
import { findRuns } from "../logs/find_runs.ts";
import { writeOutputAll } from "../run/write_error.ts";
import { type FigureImage, writeImages } from "./images.ts";
import { renderPage } from "./html.ts";
import { problemsOf } from "./log_problems.ts";
import { ReportError } from "./report_error.ts";
import { RunLog } from "../logs/run_log.ts";
import type { ReportedRun } from "./summary.ts";

/** How a report is made. */
export interface ReportOptions {
  /** Where the page goes; `report.html` in the first folder by default. */
  readonly out?: string;
  /** Heading of the page; the folders' names by default. */
  readonly title?: string;
  /** Write each figure as SVG and PNG too, into the folder `<out>-figures`. @default {false} */
  readonly images?: boolean;
  /**
   * Write the records as well, as CSV: `<out>-steps.csv`, `<out>-rounds.csv`, `<out>-evaluations.csv`.
   *
   * @default {false}
   */
  readonly csv?: boolean;
}

/** A report that was written. */
export interface ReportOutcome {
  /** The page. */
  readonly page: string;
  /** What each run came to, in the order of the page. */
  readonly runs: readonly ReportedRun[];
  /** The images, where they were asked for. */
  readonly images: readonly FigureImage[];
  /** The files of records, where they were asked for. */
  readonly csv: readonly string[];
  /**
   * What was wrong with the logs, in sentences that name file and line. The page lists them as
   * well.
   */
  readonly problems: readonly string[];
}

/**
 * Writes one self-contained HTML page with the paper's figures, from the logs of runs: finished
 * ones or such as still go on.
 *
 * @example
 * ```ts ignore
 * import { report } from "./report.ts";
 * const { page, runs } = await report(["runs/intervals"], { images: true });
 * for (const { label, speedup } of runs) console.log(label, speedup);
 * ```
 *
 * @param directories folders of runs, or of sweeps that hold runs
 * @throws {LogError} if a folder holds no run, or one whose log cannot be read
 * @throws {ReportError} if there is no folder for the page
 */
export async function report(
  directories: readonly string[],
  options: ReportOptions = {},
): Promise<ReportOutcome> {
  const logs = await Promise.all((await findRuns(directories)).map((path) => RunLog.open(path)));
  const data = reportData(logs);
  const page = options.out ?? `${directories[0]}/report.html`;
  const title = options.title ?? titleOf(directories);
  const html = await renderPage(data, { title, made: new Date(), watchMs: null });
  await written(page, () => writeOutputAll(page, html));
  const base = page.replace(/\.html?$/, "");
  const figures = `${base}-figures`;
  const images = options.images
    ? await written(figures, () => writeImages(data.page, figures))
    : [];
  const labels = data.summaries.map(({ label }) => label);
  const csv = options.csv
    ? await written(`${base}-….csv`, () => writeCsv(data.logs, labels, base))
    : [];
  return { page, runs: data.summaries, images, csv, problems: logs.flatMap(problemsOf) };
}

/** Writes a part of a report; says which, where the system refuses it. */
async function written<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new ReportError(`cannot write ${path}: there is no such folder; make it first`);
    }
    if (!isSystemError(error)) throw error;
    throw new ReportError(`cannot write ${path}: ${systemReason(error)}`);
  }
}

/** What a report on these folders is called. */
export function titleOf(directories: readonly string[]): string {
  return directories.map((path) => basename(resolve(path))).join(", ");
}
