/**
 * What an algorithm of the caller's own cannot be combined with. Those that options name have rules for that, by
 * their names; here it is told from what the algorithm says of itself.
 *
 * @module
 */

import type { Algorithm, Communication } from "../../../optimizers/mod.ts";
import type { Options } from "../../options/table.ts";
import type { Membership } from "./run_start.ts";

/** What stands beside the algorithm. */
export interface BesideAlgorithm {
  readonly options: Options;
  /** Ranks of the run. */
  readonly ranks: number;
  /** How they become others. */
  readonly membership: Membership;
  /** Steps that each of them takes. */
  readonly steps: number;
  /** How its steps exchange gradients, see `gradientSyncs`. */
  readonly syncs: ReadonlySet<Communication["gradients"]>;
  /** Whether the caller has given an update rule as well. */
  readonly optimizer: boolean;
}

/**
 * Throws RangeError if an algorithm of one's own cannot be carried out beside these options. Its update rule is
 * its own, `update.rule`.
 */
export function checkOwnAlgorithm(algorithm: Algorithm, beside: BesideAlgorithm): void {
  const { name, overlap, timed, outer, controls, sends, undrawn, update, fragments } = algorithm;
  const { options, ranks, membership, steps, optimizer, syncs } = beside;
  const waits = undrawn === "waits", participants = options.participants ?? ranks;
  const aside = controls !== undefined || syncs.has("correct");
  const gives = [...syncs].some((sync) => sync !== "none");
  const refuse = (wrong: boolean, reason: string) => {
    if (wrong) {
      throw new RangeError(`cannot train by ${name}, the algorithm of one's own: ${reason}`);
    }
  };
  refuse(optimizer, "parts.optimizer does not reach it; its update rule is algorithm.update.rule");
  refuse(
    participants < ranks && !waits &&
      (overlap !== undefined || outer !== undefined || aside || syncs.has("replace")),
    `it needs all ${ranks} ranks in every round, not participants ${participants}`,
  );
  refuse(
    timed !== undefined && (options.checkpointEvery !== null || options.syncEpochs),
    "its rounds go by the clock, which goes with neither checkpointEvery nor syncEpochs",
  );
  refuse(options.syncEpochs && overlap !== undefined, "overlap does not go with syncEpochs");
  refuse(
    options.averageStates && (overlap !== undefined || (fragments?.count ?? 1) > 1),
    "averageStates goes neither with overlap nor with fragments",
  );
  refuse(
    options.averageStates && update.rule.states.length === 0,
    `averageStates has nothing to average with the rule ${update.rule.name}`,
  );
  refuse(
    options.accumulate > 1 && (aside || syncs.has("collect")),
    "accumulate does not go with gradients that no step is taken along: give a larger batchSize",
  );
  refuse(
    options.onNan === "skip" && (gives || controls !== undefined),
    "onNan skip does not go with gradients that reach other ranks: rollback does",
  );
  refuse(
    membership !== "fixed" &&
      (gives || overlap !== undefined || timed !== undefined || meetsBefore(algorithm, steps)),
    "ranks can leave and come, as with onFailure shrink and maxWait, where they average weights after steps and " +
      "exchange nothing else",
  );
  refuse(
    membership === "punctual" && controls !== undefined,
    "maxWait does not go with control variates, which all ranks renew together",
  );
  refuse(
    options.compress !== "none" && sends !== undefined,
    `it sends displacements as ${sends?.compress}: leave compress out`,
  );
}

/** Whether weights are averaged before any of the first `steps` steps. */
function meetsBefore(algorithm: Algorithm, steps: number): boolean {
  for (let t = 1; t <= steps; t++) if (algorithm.exchange(t).weights === "before") return true;
  return false;
}

/** Throws RangeError if it draws mini-batches aside and the model carries a state from batch to batch. */
export function checkCarries(
  { name, controls }: Algorithm,
  syncs: ReadonlySet<string>,
  carries: boolean,
) {
  if (!carries || controls === undefined && !syncs.has("correct")) return;
  throw new RangeError(
    `cannot train by ${name}, the algorithm of one's own: it draws mini-batches aside, and the model carries ` +
      "a state from batch to batch",
  );
}
