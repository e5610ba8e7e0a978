import { type ReportData, reportData } from "./figures.ts";
import { findRuns } from "./find_runs.ts";
import { renderPage } from "./page.ts";
import { RunLog } from "./run_log.ts";

/** How a report is made. */
export interface ReportOptions {
  /** Where the page goes; `report.html` in the first folder by default. */
  readonly out?: string;
  /** Heading of the page; the folders' names by default. */
  readonly title?: string;
}

/** A report that was written. */
export interface ReportOutcome {
  /** The page. */
  readonly page: string;
  readonly data: ReportData;
}

/**
 * Writes one self-contained HTML page with the paper's figures, from the logs of runs: finished ones or such as still
 * go on.
 *
 * @param directories folders of runs, or of sweeps that hold runs
 * @throws {ReportError} if a folder holds no run
 */
export async function report(
  directories: readonly string[],
  options: ReportOptions = {},
): Promise<ReportOutcome> {
  const logs = await Promise.all((await findRuns(directories)).map((path) => RunLog.open(path)));
  const data = reportData(logs);
  const page = options.out ?? `${directories[0]}/report.html`;
  const title = options.title ?? titleOf(directories);
  await Deno.writeTextFile(
    page,
    await renderPage(data, { title, made: new Date(), watchMs: null }),
  );
  return { page, data };
}

/** What a report on these folders is called. */
export function titleOf(directories: readonly string[]): string {
  return directories.map((path) => path.split(/[/\\]/).filter((part) => part !== "").at(-1) ?? path)
    .join(", ");
}
