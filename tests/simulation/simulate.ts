/** Lives one world through, from its seed. */

import { type Platform, runOn } from "../../runtime/base/platform.ts";
import { ClosedError } from "../../runtime/base/errors.ts";
import { Random } from "../../runtime/base/random.ts";
import { nothingIsUnhandled, Violation } from "./_invariants.ts";
import { openWorld } from "./_job.ts";
import { describePlan, drawPlan, withComers } from "./_plan.ts";
import { platformOf } from "./_platform.ts";
import { runScenario } from "./_run_scenario.ts";
import {
  elastic,
  launchedMessages,
  messages,
  newcomers,
  type Scenario,
  survivors,
} from "./_scenarios.ts";
import { ProcessEnded, type World } from "./_world.ts";

/** What has become of a world. */
export interface Simulated {
  readonly seed: number;
  /** What was to happen, in words. */
  readonly plan: string;
  /** What must hold and does not; null if all does. */
  readonly violation: Violation | null;
  /** Of every event in its order. */
  readonly traceHash: number;
  readonly events: number;
  /** How ranks ended. */
  readonly ends: readonly string[];
}

/** Of the world that goes on: promises that have rejected with nobody looking. */
let unhandled: string[] = [];
let watched: World | null = null;
globalThis.addEventListener("unhandledrejection", (event) => {
  if (watched === null) return;
  event.preventDefault();
  const { reason } = event;
  // Those of a process that has ended are nobody's; init() knows the others.
  if (reason instanceof ProcessEnded || reason instanceof ClosedError) return;
  unhandled.push(`${watched.current?.name}: ${reason?.stack ?? reason}`);
});

/** How a world is watched, or made worse. */
export interface SimulateOptions {
  /** Told of every event. @default {nobody is} */
  readonly onEvent?: (line: string) => void;
  /** Whether errors say where they were made: that takes time, and many are made. @default {false} */
  readonly stacks?: boolean;
  /** Makes another platform of the world's, to see that what it breaks is found. @default {it stays} */
  readonly change?: (platform: Platform) => Platform;
}

/** What has been broken in a world, and how to see it again. */
export function replayLine({ seed, plan, violation }: Simulated): string {
  return `seed ${seed}: ${violation?.message}\n  ${plan}\n  deno task simulate --seed ${seed}`;
}

/** What processes of a world say on standard error is the world's. */
function divertErrors(say: (line: string) => void): Disposable {
  const { error } = console;
  console.error = (...words) => say(words.join(" "));
  return { [Symbol.dispose]: () => void (console.error = error) };
}

/** Errors are made without a stack. */
function withoutStacks(): Disposable {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  return { [Symbol.dispose]: () => void (Error.stackTraceLimit = stackTraceLimit) };
}

/** Share of worlds to which ranks come later. */
const NEWCOMERS = 0.08;

/** Lives the world of a seed through. */
export async function simulate(
  seed: number,
  { onEvent, stacks = false, change = (platform) => platform }: SimulateOptions = {},
): Promise<Simulated> {
  const kind = new Random(seed, "scenario").uniform();
  const comers = new Random(seed, "comers").uniform() - (1 - NEWCOMERS);
  const [most, make] = comers >= 0
    ? [4, comers < NEWCOMERS / 2 ? newcomers : elastic]
    : kind < 0.2
    ? [3, runScenario]
    : kind < 0.45
    ? [5, launchedMessages]
    : kind < 0.65
    ? [5, survivors]
    : [5, messages];
  const drawn = drawPlan(seed, most, make === survivors || comers >= 0);
  const plan = comers >= 0 ? withComers(drawn) : drawn, world = openWorld(plan);
  world.onEvent = onEvent;
  const scenario: Scenario = make(world, plan);
  using _platform = runOn(change(platformOf(world)));
  using _console = divertErrors((line) => onEvent?.(line));
  using _stacks = stacks ? null : withoutStacks();
  watched = world;
  unhandled = [];
  let violation: Violation | null = null;
  try {
    await scenario.play();
    nothingIsUnhandled(unhandled);
  } catch (error) {
    violation = error instanceof Violation
      ? error
      : new Violation("nothingIsThrown", `${(error as Error).stack}`);
  }
  watched = null;
  return {
    seed,
    plan: `${describePlan(plan)}; ${scenario.words}`,
    violation,
    traceHash: world.traceHash >>> 0,
    events: world.events,
    ends: scenario.ends,
  };
}
