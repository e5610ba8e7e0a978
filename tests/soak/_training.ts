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
  /** What becomes of the run: with `shrink` ranks that are lost are started again and come back. */
  readonly onFailure: "restart" | "shrink";
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
  /** Ranks that came back. */
  readonly came: number;
  readonly disturbed: TrainedRun;
  /** One that loses no rank; with `shrink` a replay, in which the same ranks are absent. */
  readonly beside: TrainedRun;
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
  let killed = 0, best = NaN, came = 0;
  const run = async (name: string, more: LaunchOptions): Promise<TrainedRun> => {
    const began = Date.now(), out = `${parent}/${name}`;
    const { summary } = await launch({ ...more, out });
    best = summary.bestPerplexity ?? NaN;
    const { membership: worlds = [] } = summary;
    came = worlds.slice(1).filter(({ ranks }, i) => ranks > worlds[i].ranks).length;
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
    const shrinks = onFailure === "shrink";
    const disturbed = await run("disturbed", {
      ...common,
      ...shrinks ? { elastic: `1..${ranks}` } : { onFailure },
      checkpointEvery: `${Math.max(1, every / 5)}s`,
      maxRestarts: 100,
    }).finally(() => clearInterval(killer));
    say(`disturbed: ${JSON.stringify(disturbed)}`);
    const beside = await run("beside", shrinks ? { replay: `${parent}/disturbed` } : common);
    return { killed, came, disturbed, beside, best };
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}
