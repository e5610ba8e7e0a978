/**
 * Starts the ranks that measure, here or on the hosts of a plan.
 *
 * @module
 */

import { join } from "node:path";
import { launchProgram } from "../../runtime/launcher/launch.ts";
import type { World } from "../../runtime/launcher/across_hosts.ts";
import { checkInputs } from "../problems/check_inputs.ts";
import { keepInputs, readInputs } from "../run/inputs.ts";
import { RunFailedError } from "../launch/launch.ts";
import { processesOf } from "../launch/processes.ts";
import { describeRun, tellHosts } from "../launch/run_hosts.ts";
import { asOptionError } from "../options/as_option_error.ts";
import type { Options } from "../options/values.ts";
import type { RankArguments } from "../training/rank_program.ts";
import type { Measured, MeasureOptions } from "./measured.ts";

/** The program of the ranks that measure. */
const PLAN_PROGRAM = new URL(import.meta.resolve("./rank.ts"));

/** Where and how to measure. */
export interface MeasureRanks {
  /** What the ranks are behind; null: nothing. */
  readonly link: string | null;
  readonly signal: AbortSignal | undefined;
  /** The hosts; null for this one. */
  readonly hosts: World | null;
  /** As it was asked for: `auto` is each host's own. */
  readonly device: Options["device"];
}

/**
 * Measures on all ranks.
 *
 * @throws RunFailedError when a rank fails
 */
export async function measureRanks(
  asked: MeasureOptions,
  { link, signal, hosts, device }: MeasureRanks,
): Promise<Measured> {
  const { options } = asked;
  await using stack = new AsyncDisposableStack();
  const made = await Deno.makeTempDir({ prefix: "celgc-plan-" });
  stack.defer(() => Deno.remove(made, { recursive: true }));
  const directory = await Deno.realPath(made);
  await tellHosts(hosts, writeAsked(directory, asked));
  const { link: _, ...processes } = processesOf(options, directory);
  const described = hosts &&
    await tellHosts(hosts, describeRun(options, device, { run: "plan", directory }));
  const { code, failure, interrupted } = await asOptionError(null, () =>
    launchProgram({
      ...processes,
      ...hosts ? { on: hosts } : {},
      ...described ? { details: { ...described, from: null, keepsLogs: false } } : {},
      ...link === null ? {} : { link },
      program: PLAN_PROGRAM,
      args: [directory, JSON.stringify({ from: null })] satisfies RankArguments,
      ...(signal ? { signal } : {}),
    }));
  if (code !== 0) {
    const what = failure?.message ?? `the measurements were ended by ${interrupted}`;
    throw new RunFailedError(what, code, directory);
  }
  return JSON.parse(await Deno.readTextFile(join(directory, "measured.json")));
}

/** Writes what the ranks are to measure, and the files that it takes. */
async function writeAsked(directory: string, asked: MeasureOptions): Promise<void> {
  const files = await readInputs(asked.options);
  await checkInputs(asked.options, files);
  await keepInputs(directory, files);
  await Deno.writeTextFile(join(directory, "options.json"), JSON.stringify(asked));
}
