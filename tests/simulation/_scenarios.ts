/** The courses that a world can take. */

import {
  allEndSoon,
  errorsNameTheLost,
  nobodyHangs,
  nothingFailsByItself,
  nothingIsLeftOpen,
  oneHostGoes,
  type RankOutcome,
  survivorsGoOn,
  theHigherGo,
  theLauncherTellsTheCause,
  Violation,
} from "./_invariants.ts";
import {
  arrangeFaults,
  boundOf,
  hitRanks,
  outcomesOf,
  type RankProgram,
  type SimulatedRank,
  startJob,
} from "./_job.ts";
import { HOST_MS, launchJob } from "./_launcher.ts";
import { messagesOf } from "./programs/messages.ts";
import { allEndAlike, Arrivals, newcomersOf, whoComesGoesOn } from "./programs/newcomers.ts";
import { cutOff, givenUp, type Plan, TIMEOUT_MS } from "./_plan.ts";
import {
  drawElastic,
  elasticOf,
  endsAsItsRecord,
  logHasEachRoundOnce,
  newElasticRecord,
} from "./programs/elastic.ts";
import { RUN } from "./programs/training.ts";
import { inProcess } from "./_run_scenario.ts";
import { makeFolder } from "../../tasks/run/write_error.ts";
import {
  Agreements,
  agreementsAreUniform,
  membersAreTheSame,
  survivorsOf,
} from "./programs/survivors.ts";
import type { World } from "./_world.ts";

/** How long a newcomer may stand still without being given up, in ms. */
const PATIENCE_MS = 4000;

/** How long it may take until a newcomer is in, or given up, in ms. */
const COMES_MS = 2 * TIMEOUT_MS + 10_000;

/** A world's course. */
export interface Scenario {
  /** What it is called. */
  readonly words: string;
  /** How its ranks ended; filled as it is played. */
  readonly ends: string[];
  /** Lets it happen. Throws Violation. */
  play(): Promise<void>;
}

/** What has become of a job's ranks. */
interface Played {
  readonly ranks: readonly SimulatedRank[];
  readonly outcomes: readonly RankOutcome[];
}

/** The ranks that something was to happen to, those as well that came later. */
function allHit(plan: Plan, ranks: readonly SimulatedRank[]): Set<number> {
  const hit = hitRanks(plan), letsIn = plan.comers?.letsIn;
  if (letsIn) hit.add(letsIn.rank);
  for (const { rank, process: { host, diesAt, stops } } of ranks.slice(plan.ranks)) {
    const isHostHit = plan.faults.some(({ kind, rank }) =>
      kind === "power" && ranks[rank].process.host === host
    );
    if (isHostHit || diesAt < Infinity || stops && stops.forMs > PATIENCE_MS) hit.add(rank);
  }
  return hit;
}

/** Says how ranks ended, and throws what one of them has found wrong. */
function look(plan: Plan, ranks: readonly SimulatedRank[], ends: string[]): Played {
  const outcomes = outcomesOf(ranks, allHit(plan, ranks));
  ends.push(...outcomes.map(({ isDone, error, end }) => isDone ? "done" : `${error ?? end}`));
  for (const { error } of outcomes) if (error instanceof Violation) throw error;
  return { ranks, outcomes };
}

/** A job as others start it: rank 0 serves the rendezvous. */
async function startedByOthers(
  world: World,
  plan: Plan,
  program: RankProgram,
  byMs: number,
  ends: string[],
): Promise<Played> {
  const ranks = startJob(world, plan, program);
  arrangeFaults(world, ranks, plan.faults);
  await world.run(byMs);
  return look(plan, ranks, ends);
}

/** A job under our launcher. */
async function startedByUs(
  world: World,
  plan: Plan,
  program: RankProgram,
  byMs: number,
  ends: string[],
) {
  const { ranks, outcome, endedAt } = await launchJob(world, plan, program, byMs);
  const told = outcome?.failure;
  ends.push(`the launcher: ${outcome?.code ?? "still there"}, ${told?.headline ?? "no failure"}`);
  const played = look(plan, ranks, ends);
  if (outcome === null && plan.launcherMs < Infinity) {
    // Its ranks end with it, wherever they stand, but for those that cannot.
    nobodyHangs(played.outcomes.filter(({ isHit }) => !isHit), byMs);
    return null;
  }
  if (outcome === null) {
    throw new Violation("nobodyHangs", `the launcher has not ended by ${byMs} ms`);
  }
  return { ...played, code: outcome.code, blamed: told?.rank ?? null, endedAt };
}

/** Ranks meet, exchange messages and part. */
export function messages(world: World, plan: Plan): Scenario {
  const ends: string[] = [];
  return {
    words: "messages, started by others",
    ends,
    async play() {
      const byMs = boundOf(plan), program = messagesOf(plan.seed);
      const { ranks, outcomes } = await startedByOthers(world, plan, program, byMs, ends);
      nothingFailsByItself(outcomes, plan.faults.length);
      errorsNameTheLost(outcomes, plan.link !== null);
      nobodyHangs(outcomes, byMs);
      for (const { rank, left } of ranks) if (left) nothingIsLeftOpen(rank, left.open, left.timers);
    },
  };
}

/** The same under our launcher, which ends all when one fails. */
export function launchedMessages(world: World, plan: Plan): Scenario {
  const ends: string[] = [];
  return {
    words: "messages, started by us",
    ends,
    async play() {
      const byMs = boundOf(plan) + HOST_MS, program = messagesOf(plan.seed);
      const played = await startedByUs(world, plan, program, byMs, ends);
      if (played === null) return;
      const { outcomes, code, blamed, endedAt } = played;
      nothingFailsByItself(outcomes, plan.faults.length);
      errorsNameTheLost(outcomes, plan.link !== null);
      nobodyHangs(outcomes.filter(({ isHit }) => !isHit), byMs);
      theLauncherTellsTheCause(outcomes, { code, rank: blamed });
      // Of what can be seen at once, such as the end of a process.
      const isSeen = plan.faults.every(({ kind }) => kind === "kill") && plan.pace.slow === 0;
      if (isSeen && blamed !== null) allEndSoon(outcomes, endedAt);
    },
  };
}

/** Ranks are lost, and the others go on. */
export function survivors(world: World, plan: Plan): Scenario {
  const ends: string[] = [], isOurs = plan.seed % 2 === 0;
  return {
    words: `survivors, started by ${isOurs ? "us" : "others"}`,
    ends,
    async play() {
      const record = new Agreements(), program = survivorsOf(plan.seed, record);
      const byMs = boundOf(plan) + HOST_MS + plan.faults.length * 2 * TIMEOUT_MS;
      const start = isOurs ? startedByUs : startedByOthers;
      const played = await start(world, plan, program, byMs, ends);
      ends.push(...record.describe());
      if (played === null) return;
      const { outcomes } = played;
      // Without a launcher of ours nobody ends a rank that the others have given up, and that goes on.
      const apart = isOurs ? new Set<number>() : givenUp(plan);
      const higher = cutOff(plan);
      agreementsAreUniform(record, apart);
      // Those who have left the job already tell nobody that it is the one to go.
      const isAlone = (rank: number) => apart.has(rank) || !isOurs && higher.has(rank);
      const together = outcomes.filter(({ rank, isDone }) => isDone && !isAlone(rank));
      membersAreTheSame(record, together.map(({ rank }) => rank));
      survivorsGoOn(outcomes);
      const cut = plan.faults.find((fault) => fault.kind === "cut");
      // In silence whoever has waited the longest is the first to notice, and only the launcher knows of the others.
      if (cut?.isTold) theHigherGo(outcomes, higher);
      else if (cut && isOurs) oneHostGoes(outcomes, plan.hosts);
      nobodyHangs(outcomes.filter(({ isHit }) => !isHit), byMs);
    },
  };
}

/** Ranks of a program are lost, and others come in their stead. Returns those that have come to its end. */
async function withNewcomers(
  world: World,
  plan: Plan,
  program: RankProgram,
  record: { readonly came: ReadonlySet<number>; onGrow(rank: number): void },
  ends: string[],
): Promise<number[]> {
  const { letsIn, pauseMs } = plan.comers!;
  record.onGrow = (rank) => {
    const process = world.current!;
    if (rank !== letsIn?.rank) return;
    process.diesAt = Math.min(process.diesAt, process.calls + letsIn.call);
  };
  const byMs = boundOf(plan) + HOST_MS + plan.faults.length * 2 * TIMEOUT_MS +
    pauseMs.length * COMES_MS;
  const { outcomes } = (await startedByUs(world, plan, program, byMs, ends))!;
  if (record.came.size > 0) ends.push(`let in: ${[...record.came].join(", ")}`);
  survivorsGoOn(outcomes.slice(0, plan.ranks));
  whoComesGoesOn(record.came, outcomes.slice(plan.ranks));
  nobodyHangs(outcomes.filter(({ isHit }) => !isHit), byMs);
  return outcomes.filter(({ isDone }) => isDone).map(({ rank }) => rank);
}

/** Rounds of sums, whose ranks are lost and come. */
export function newcomers(world: World, plan: Plan): Scenario {
  const ends: string[] = [];
  return {
    words: "newcomers, started by us",
    ends,
    async play() {
      const record = new Arrivals(), program = newcomersOf(plan.seed, plan.ranks, record);
      const finished = await withNewcomers(world, plan, program, record, ends);
      ends.push(...record.describe());
      allEndAlike(record, finished);
    },
  };
}

/** A run whose ranks are lost and come. */
export function elastic(world: World, plan: Plan): Scenario {
  const run = drawElastic(plan.seed, plan.ranks, new Set(plan.hosts).size === 1);
  const ends: string[] = [];
  return {
    words: `elastic: ${JSON.stringify(run)}`,
    ends,
    async play() {
      await inProcess(world, () => makeFolder(RUN));
      const record = newElasticRecord(), program = elasticOf(run, record);
      const finished = await withNewcomers(world, plan, program, record, ends);
      const [final] = record.finals.values();
      if (final) ends.push(JSON.stringify(final.worlds));
      endsAsItsRecord(run, record, finished);
      // What a host had on its disk may have gone with its power.
      const isOn = world.hosts[0].isUp && finished.length > 0;
      const check = () => Promise.try(() => logHasEachRoundOnce(run));
      if (run.logs && isOn) await inProcess(world, check);
    },
  };
}
