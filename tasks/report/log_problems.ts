/**
 * What a log lacks, or what was not as it should be in it.
 *
 * @module
 */

import { counted } from "../../runtime/base/words.ts";
import type { RunLog } from "../logs/run_log.ts";

/** What was wrong with a log, in sentences that name the file. */
export function problemsOf(log: RunLog): string[] {
  const problems = log.damaged.map(({ line, reason }) =>
    `${log.file}, line ${line}: ${reason}; left out`
  );
  const more = log.damagedCount - log.damaged.length;
  if (more > 0) problems.push(`${log.file}: ${more} more damaged lines left out`);
  if (log.torn && log.summary !== null) {
    problems.push(`${log.file}: the last line is incomplete; left out`);
  }
  if (log.config === null) {
    problems.push(`${log.directory}/config.json is missing; the run goes by its folder`);
  }
  const losses = log.steps.column("loss");
  const broken = losses.filter((loss) => !Number.isFinite(loss)).length;
  if (broken > 0) {
    problems.push(
      `${log.file}: the loss was not a finite number in ${broken} of ${
        counted(losses.length, "step")
      }`,
    );
  }
  return problems;
}
