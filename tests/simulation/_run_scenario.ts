/** A run whose ranks, hosts and disks fail, begun again from its checkpoints until it is through. */

import { Random } from "../../runtime/base/random.ts";
import { rewind } from "../../tasks/run/resume.ts";
import { makeFolder } from "../../tasks/run/write_error.ts";
import { errorsNameTheLost, nobodyHangs, Violation } from "./_invariants.ts";
import { arrangeFaults, boundOf, hitRanks, outcomesOf, startJob } from "./_job.ts";
import { describePlan, drawAttempt, type Plan } from "./_plan.ts";
import {
  drawRun,
  isAsUndisturbed,
  LOCAL,
  RUN,
  type RunPlan,
  type RunRecord,
  serialWeights,
  train,
} from "./programs/training.ts";
import type { Scenario } from "./_scenarios.ts";
import type { World } from "./_world.ts";

/** Attempts of which the last one is left in peace. */
const ATTEMPTS = 4;

/** A run in a world. */
export function runScenario(world: World, plan: Plan): Scenario {
  const run = drawRun(plan.seed, plan.ranks), random = new Random(plan.seed, "disks");
  const full = random.uniform() < 0.15 ? 1000 + random.integer(8000) : Infinity;
  const isOrdered = random.uniform() < 0.5, syncMs = [1, 5, 500, 4000][random.integer(4)];
  for (const { disk } of world.hosts) Object.assign(disk, { isOrdered, syncMs });
  const ends: string[] = [];
  return {
    words:
      `${JSON.stringify(run)}; disks ${isOrdered ? "keep" : "lose"} order, sync in ${syncMs} ms` +
      `${full < Infinity ? `, have room for ${full} bytes at first` : ""}`,
    ends,
    play: () => play(world, plan, run, full, ends),
  };
}

async function play(
  world: World,
  first: Plan,
  run: RunPlan,
  full: number,
  ends: string[],
): Promise<void> {
  const [{ disk }] = world.hosts;
  await inProcess(world, () => makeFolder(RUN));
  for (const host of world.hosts.slice(1)) await inProcess(world, () => makeFolder(LOCAL), host);
  const record = newRecord(run, run.method === "plain" ? serialWeights(run) : []);
  if (run.method !== "plain") await trainInPeace(world, first, run, record);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const isLast = attempt === ATTEMPTS - 1;
    const drawn = drawAttempt(first, attempt), plan = isLast ? { ...drawn, faults: [] } : drawn;
    world.onEvent?.(`attempt ${attempt}: ${describePlan(plan)}`);
    const from = await begin(world, run, record);
    disk.capacity = isLast ? Infinity : full;
    const ranks = startJob(world, plan, (comm) => train(comm, run, from, record));
    arrangeFaults(world, ranks, plan.faults);
    const hit = hitRanks(plan),
      isFull = disk.capacity < Infinity,
      byMs = world.now + boundOf(plan) + run.steps * 20 * disk.syncMs;
    await world.run(byMs);
    ends.push(
      `from ${from}: ${ranks.map(({ process, error }) => error ?? process.end).join(" | ")}`,
    );
    const outcomes = outcomesOf(ranks, hit).map((outcome) => {
      const isWriteError = (outcome.error as Error | undefined)?.name === "WriteError";
      return isFull && isWriteError ? { ...outcome, isHit: true } : outcome;
    });
    for (const { error } of outcomes) if (error instanceof Violation) throw error;
    errorsNameTheLost(outcomes, plan.link !== null);
    nobodyHangs(outcomes.filter(({ isHit }) => !isHit), byMs);
    for (const { process } of ranks) world.kill(process, "ended by the launcher");
    for (const host of world.hosts) host.isUp = true;
    world.partitions.length = 0;
    if (outcomes.every(({ isDone }) => isDone)) break;
  }
  await inProcess(
    world,
    () => Promise.try(() => isAsUndisturbed(run, record)),
  );
}

function newRecord({ ranks }: RunPlan, history: number[][][]): RunRecord {
  return { complete: 0, results: new Array(ranks).fill(null), history };
}

/** The same run with nothing going wrong, which tells what the other has to come to; what it has written goes. */
async function trainInPeace(world: World, plan: Plan, run: RunPlan, record: RunRecord) {
  const { history } = record, peace = newRecord(run, history);
  const ranks = startJob(world, plan, (comm) => train(comm, run, null, peace, true));
  await world.run(world.now + boundOf(plan) + run.steps * 20 * world.hosts[0].disk.syncMs);
  for (const { rank, error, process } of ranks) {
    if (error !== undefined || process.end !== "exit 0") {
      throw new Violation(
        "nothingFailsByItself",
        `rank ${rank} ended (${process.end}) with ${error}`,
      );
    }
  }
  for (const host of world.hosts) {
    const folder = host === world.hosts[0] ? RUN : LOCAL;
    for (const name of [...host.disk.folder(folder).entries.keys()]) {
      for (const path of host.disk.under(`${folder}/${name}`)) host.disk.remove(path, false);
    }
    host.disk.sync(host.disk.folder(folder));
  }
}

/** Takes the folder back to its newest checkpoint, as the launcher does. Returns its step. */
async function begin(world: World, run: RunPlan, record: RunRecord): Promise<number | null> {
  let from: number | null = null;
  const { disk } = world.hosts[0];
  const capacity = disk.capacity;
  disk.capacity = Infinity; // somebody has made room
  await inProcess(world, async () => {
    from = await rewind(RUN, { run: `run-${run.seed}`, ranks: run.ranks, say: () => {} });
  });
  disk.capacity = capacity;
  if ((from ?? 0) < record.complete) {
    throw new Violation(
      "whatIsCompleteStays",
      `the checkpoint of step ${record.complete} was complete, ${from} is the newest that is left`,
    );
  }
  return from;
}

/** Does something in a process of its own, on the first host if none is named. */
export async function inProcess(
  world: World,
  act: () => Promise<void>,
  host = world.hosts[0],
): Promise<void> {
  let failure: unknown;
  const process = world.start("launcher", host, 0, async () => {
    await act().catch((error) => failure = error);
    world.kill(process, "exit 0");
  });
  await world.run(world.now + 600_000);
  if (failure !== undefined) throw failure;
}
