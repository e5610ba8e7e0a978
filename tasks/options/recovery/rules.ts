/**
 * What ties the options of failures to each other and to others, see `../rules.ts`.
 *
 * @module
 */

import { ALGORITHMS, createAlgorithm } from "../../../optimizers/registry.ts";
import { gradientSyncs } from "../../../optimizers/rounds/gradient_syncs.ts";
import { parsePartition } from "../../data/sampling/partition.ts";
import { TASKS } from "../defaults.ts";
import { parseElastic } from "./elastic.ts";
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
    concerns: ["onFailure", "maxRestarts", "elastic"],
    check: ({ onFailure, maxRestarts, elastic }) =>
      onFailure !== "restart" && elastic === null && maxRestarts > 0 &&
        maxRestarts !== RECOVERY.maxRestarts.default
        ? `--max-restarts ${maxRestarts} has no effect with --on-failure ${onFailure}: leave one of them out`
        : null,
  },
  {
    concerns: ["onFailure", "algorithm", "overlap", "average"],
    check(options) {
      const { onFailure, algorithm: name, overlap, average } = options;
      if (onFailure !== "shrink") return null;
      const instead = "--on-failure restart does";
      if (overlap) {
        return "--on-failure shrink does not go with --overlap, where the average that a rank was lost in is on " +
          `its way while steps go on: ${instead}`;
      }
      if (average === "before") {
        return `--on-failure shrink does not go with --average before: ${instead}`;
      }
      if (ALGORITHMS[name].rounds === "none") {
        return `--on-failure shrink does not go with --algorithm ${name}, whose ranks never average weights: ` +
          instead;
      }
      const syncs = gradientSyncs(createAlgorithm(name, options), ENOUGH);
      return [...syncs].every((sync) => sync === "none")
        ? null
        : `--on-failure shrink does not go with --algorithm ${name}, where a step needs the gradients of all ` +
          `ranks: ${instead}`;
    },
  },
  {
    concerns: ["onFailure", "maxWait"],
    check: ({ onFailure, maxWait }) =>
      onFailure === "shrink" && maxWait !== null
        ? "--max-wait does not go with --on-failure shrink: take one of them"
        : null,
  },
  {
    concerns: ["onFailure", "elastic"],
    check: ({ onFailure, elastic }) =>
      elastic !== null && onFailure !== "shrink"
        ? `--elastic ${elastic} has no effect with --on-failure ${onFailure}: leave one of them out`
        : null,
  },
  {
    concerns: ["elastic", "ranks"],
    check({ elastic, ranks }) {
      if (elastic === null) return null;
      const { least, most } = parseElastic(elastic);
      return ranks < least || ranks > most
        ? `--elastic ${elastic} has to hold the ranks that a run begins with, ${ranks}`
        : null;
    },
  },
  {
    concerns: ["elastic", "maxRestarts", "ranks", "transport"],
    check({ elastic, maxRestarts, ranks, transport }) {
      if (elastic === null || transport !== "unix") return null;
      return maxRestarts > 0 || parseElastic(elastic).most > ranks
        ? `--elastic ${elastic} does not go with --transport unix: who comes to a running job is reached over TCP; ` +
          "leave one of them out, or take --max-restarts 0 and no more ranks than there are"
        : null;
    },
  },
  {
    concerns: ["onFailure", "sampling"],
    check: ({ onFailure, sampling }) =>
      onFailure === "shrink" && sampling !== "uniform"
        ? `--on-failure shrink does not go with --sampling ${sampling}, which draws from a fixed number of ranks`
        : null,
  },
  {
    concerns: ["onFailure", "task", "partition"],
    check({ onFailure, task, partition }) {
      const { kind } = parsePartition(partition), isText = TASKS[task].kind === "text";
      const dealt = isText ? kind !== "proportional" : kind === "iid" || kind === "whole";
      return onFailure === "shrink" && !dealt
        ? `--on-failure shrink does not go with --partition ${partition}: what a rank alone has would be lost ` +
          "with it"
        : null;
    },
  },
  {
    concerns: ["onFailure", "transport"],
    check: ({ onFailure, transport }) =>
      onFailure === "shrink" && transport === "mpi"
        ? "--on-failure shrink does not go with --transport mpi: an MPI library ends all ranks with one"
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
    concerns: ["maxWait", "partition"],
    check: ({ maxWait, partition }) =>
      maxWait !== null && parsePartition(partition).kind === "proportional"
        ? `--max-wait does not go with --partition ${partition}, which is for a fixed number of ranks`
        : null,
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
