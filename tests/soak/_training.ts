/**
 * A training run that loses a rank every few seconds, as in torchft's demonstration, beside one that loses none.
 *
 * @module
 */

import { launch, type LaunchOptions } from "../../tasks/launch/launch.ts";

/** What is asked. */
export interface TrainingSoakOptions {
  /** Seconds from one failure to the next. */
  readonly every: number;
  readonly ranks: number;
  readonly onFailure: LaunchOptions["onFailure"];
  /** Steps of each rank; null: as many as the task has by itself. */
  readonly maxSteps: number | null;
  /** Gets a line now and then. @default {nobody} */
  readonly say?: (line: string) => void;
}

/** What has come of a run. */
export interface TrainedRun {
  readonly perplexity: number;
  readonly weightsHash: string;
  readonly seconds: number;
}

/** What has come of both. */
export interface TrainingSoaked {
  readonly killed: number;
  readonly disturbed: TrainedRun;
  readonly undisturbed: TrainedRun;
  /** The least perplexity that can be expected. */
  readonly best: number;
}

/** The processes of a run's ranks, found by the folder among their arguments. */
function rankProcesses(folder: string): number[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const args = Deno.readTextFileSync(`/proc/${name}/cmdline`).split("\0");
      const isRank = args.some((arg) => arg.endsWith("/tasks/training/rank_program.ts"));
      return isRank && args.includes(folder) ? [Number(name)] : [];
    } catch {
      return []; // it has ended
    }
  });
}

/** Trains twice. */
export async function trainingSoak(
  { every, ranks, onFailure, maxSteps, say = () => {} }: TrainingSoakOptions,
): Promise<TrainingSoaked> {
  const parent = await Deno.makeTempDir({ prefix: "celgc-soak-" });
  const common = {
    task: "generated-text",
    ranks,
    ...maxSteps === null ? {} : { maxSteps },
  } as const;
  let killed = 0, best = NaN;
  const run = async (name: string, more: LaunchOptions): Promise<TrainedRun> => {
    const began = Date.now(), out = `${parent}/${name}`;
    const { summary } = await launch({ ...common, ...more, out });
    best = summary.bestPerplexity ?? NaN;
    const { testPerplexity: perplexity = NaN, weightsHash } = summary;
    return { perplexity, weightsHash, seconds: (Date.now() - began) / 1000 };
  };
  try {
    const killer = setInterval(() => {
      const pids = rankProcesses(`${parent}/disturbed`);
      if (pids.length === 0) return;
      killed++;
      say(`kills one of ${pids.length} ranks`);
      Deno.kill(pids[killed % pids.length], "SIGKILL");
    }, 1000 * every);
    const disturbed = await run("disturbed", {
      onFailure,
      checkpointEvery: `${Math.max(1, every / 5)}s`,
      maxRestarts: 100,
    }).finally(() => clearInterval(killer));
    say(`disturbed: ${JSON.stringify(disturbed)}`);
    return { killed, disturbed, undisturbed: await run("undisturbed", {}), best };
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}
