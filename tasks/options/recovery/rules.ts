/**
 * What ties the options of failures to each other and to others, see `../rules.ts`.
 *
 * @module
 */

import { createAlgorithm } from "../../../optimizers/registry.ts";
import { gradientSyncs } from "../../../optimizers/rounds/gradient_syncs.ts";
import { RECOVERY } from "./table.ts";
import type { OptionName, Options } from "../values.ts";

/** One rule: the options it concerns, and what it has against their values. */
interface RecoveryRule {
  readonly concerns: readonly OptionName[];
  check(options: Options): string | null;
}

/** Steps after which an algorithm has exchanged gradients, if it ever does. */
const ENOUGH = 1024;

const FLAGS = {
  checkpointEvery: "--checkpoint-every",
  resume: "--resume",
};

/** The rules, in the order in which they are asked. */
export const RECOVERY_RULES: readonly RecoveryRule[] = [
  ...(["checkpointEvery", "resume"] as const).map((name): RecoveryRule => ({
    concerns: ["syncEvery", name],
    check: (options) =>
      options.syncEvery !== null && options[name]
        ? `${
          FLAGS[name]
        } does not go with --sync-every: ranks are not at the same step, and what they do ` +
          "cannot be done again; --interval can"
        : null,
  })),
  {
    concerns: ["syncEvery", "onFailure"],
    check: ({ syncEvery, onFailure }) =>
      syncEvery !== null && onFailure !== "stop"
        ? `--on-failure ${onFailure} does not go with --sync-every: ranks are not at the same step, and what ` +
          "they do cannot be done again; --interval can"
        : null,
  },
  {
    concerns: ["onFailure", "maxRestarts"],
    check: ({ onFailure, maxRestarts }) =>
      onFailure !== "restart" && maxRestarts > 0 && maxRestarts !== RECOVERY.maxRestarts.default
        ? `--max-restarts ${maxRestarts} has no effect with --on-failure ${onFailure}: leave one of them out`
        : null,
  },
  {
    concerns: ["replay", "resume", "onFailure"],
    check: ({ replay, resume, onFailure }) =>
      replay !== null && (resume !== null || onFailure !== "stop")
        ? "--replay begins at the beginning, and its ranks are those of the run that it repeats: leave " +
          (resume !== null ? "--resume out" : `--on-failure ${onFailure} out`)
        : null,
  },
  {
    concerns: ["maxWait", "syncEvery", "overlap", "algorithm", "interval"],
    check(options) {
      const { maxWait, syncEvery, overlap, algorithm: name } = options;
      if (maxWait === null) return null;
      if (syncEvery !== null) {
        return "--max-wait has nothing to do with --sync-every: rounds go by the clock";
      }
      if (overlap) {
        return "--max-wait does not go with --overlap: an average is on its way that all have to take over";
      }
      const algorithm = createAlgorithm(name, options), syncs = gradientSyncs(algorithm, ENOUGH);
      const first = Array.from({ length: ENOUGH }, (_, i) => algorithm.exchange(i + 1));
      const meets = algorithm.controls || first.some(({ weights }) => weights === "before") ||
        [...syncs].some((sync) => sync !== "none");
      return meets
        ? `--max-wait does not go with --algorithm ${name}, where a step needs all ranks: those that average ` +
          "weights alone can leave some out, such as celgc"
        : null;
    },
  },
  {
    concerns: ["onNan", "checkpointEvery"],
    check: ({ onNan, checkpointEvery }) =>
      onNan === "rollback" && checkpointEvery === null
        ? "--on-nan rollback goes back to a checkpoint: give --checkpoint-every as well"
        : null,
  },
  {
    concerns: ["onNan", "algorithm", "accumulate", "interval"],
    check(options) {
      const { onNan, algorithm: name, accumulate } = options;
      if (onNan !== "skip") return null;
      if (accumulate > 1) return "--on-nan skip does not go with --accumulate";
      const algorithm = createAlgorithm(name, options), syncs = gradientSyncs(algorithm, ENOUGH);
      const alone = !algorithm.controls && [...syncs].every((sync) => sync === "none");
      return alone ? null : `--on-nan skip does not go with --algorithm ${name}, where the ` +
        "gradient of one rank goes to the others: --on-nan rollback does";
    },
  },
];
