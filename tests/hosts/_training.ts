<<<<<<< HEAD
/** Runs of the trainer on hosts of a test, and what they are compared with: the same ranks on one host. */
=======
/** A short training run on several hosts, and the weights that it must end in wherever its ranks are. */
>>>>>>> 62dac5e (rendezvous: one port a host is enough, and hosts that can only dial out meet at a relay)

import assert from "node:assert/strict";
import { celgc as here, ROOT } from "../_helpers/deno.ts";
import { temporaryFolder } from "../_helpers/temporary_folder.ts";
<<<<<<< HEAD
import { type Hosts, leftOn, type Running } from "./_hosts.ts";

const main = new URL("tasks/cli/main.ts", ROOT).href;

/** A command of the command line, with options and a program. */
export const celgc = (...args: string[]) => [
  ...[Deno.execPath(), "run", "-A", "--no-check", main],
  ...args,
];

/** Two rounds of two steps; the order of samples, and so the weights, depend on the number of ranks. */
export const TINY =
=======
import type { Host, Running } from "./_hosts.ts";

const main = new URL("tasks/cli/main.ts", ROOT).href;

/** A command of the command line. */
export const celgc = (
  ...args: string[]
): string[] => [Deno.execPath(), "run", "-A", "--no-check", main, ...args];

/** Two rounds of two steps; the order of samples, and so the weights, depend on the number of ranks. */
export const TINY: readonly string[] =
>>>>>>> 62dac5e (rendezvous: one port a host is enough, and hosts that can only dial out meet at a relay)
  "--device cpu --max-steps 4 --interval 2 --batch-size 4 --train-size 64 --test-size 16"
    .split(" ");

/** What a run has ended with. */
// deno-lint-ignore no-explicit-any -- the fields are described in docs/metrics.md
export function summaryOf(folder: string): any {
  const lines = Deno.readTextFileSync(`${folder}/metrics.jsonl`).trim().split("\n");
  const summary = JSON.parse(lines.at(-1)!);
  assert.equal(summary.type, "summary");
  return summary;
}

<<<<<<< HEAD
const expected = new Map<string, Promise<string>>();

/** The weights of so many ranks on one host. */
export function hashOnOneHost(ranks: number, args: readonly string[] = TINY): Promise<string> {
  const key = JSON.stringify([ranks, ...args]);
  const found = expected.get(key) ?? (async () => {
    await using folder = await temporaryFolder();
    const out = `${folder.path}/run`;
    const ended = await here(
      ...["launch", "--ranks", String(ranks), ...args, "--quiet", "--out", out],
    );
    assert.equal(ended.code, 0, ended.stderr);
    return summaryOf(out).weightsHash;
  })();
  expected.set(key, found);
  return found;
}

/** Hosts as the summary names them: the ranks of each. */
export function placesIn(folder: string): [name: string, ranks: number[]][] {
  const { hosts } = summaryOf(folder);
  return hosts.map(({ name, ranks }: { name: string; ranks: number[] }) => [name, ranks]);
}

/** How hosts join. */
export interface Joining {
  /** Ranks of each host; the first launches. */
  readonly ranks: readonly number[];
  /** Options of the host that launches. */
  readonly args: readonly string[];
  /** A folder that is empty on the others. */
  readonly hidden?: string;
  /** Options of each of the others. */
  readonly join?: (index: number) => readonly string[];
}

/** Trains on hosts of which the first invites the others, until all have ended. */
export async function trainInvited(
  hosts: Hosts,
  folder: string,
  { ranks, args, hidden, join = () => [] }: Joining,
): Promise<void> {
  const invitation = ["--invitation", `${folder}/${crypto.randomUUID()}`];
  const [a, ...others] = hosts.all.slice(0, ranks.length);
  const world = String(ranks.reduce((sum, count) => sum + count, 0));
  const first = a.start(
    celgc("launch", "--ranks", String(ranks[0]), "--world", world, ...invitation, ...args),
  );
  await first.printed(/can join/);
  const joined: Running[] = others.map((host, i) => {
    const command = celgc(
      ...["join", "--ranks", String(ranks[i + 1]), ...invitation, ...join(i + 1)],
    );
    if (hidden === undefined) return host.start(command);
    const hide = `mount -t tmpfs none ${hidden} && exec "$@"`;
    return host.start(["sh", "-c", hide, "sh", ...command]);
  });
  const { code, stderr } = await first.ended;
  assert.equal(code, 0, stderr);
  for (const agent of joined) assert.equal((await agent.ended).code, 0, agent.text());
  assert.deepEqual(await leftOn(hosts, 5000), []);
=======
let expected: Promise<string> | undefined;

/** The weights of eight ranks on one host. */
export function expectedHash(): Promise<string> {
  return expected ??= (async () => {
    await using folder = await temporaryFolder();
    const out = `${folder.path}/run`;
    const ended = await here("launch", "--ranks", "8", ...TINY, "--quiet", "--out", out);
    assert.equal(ended.code, 0, ended.stderr);
    return summaryOf(out).weightsHash;
  })();
}

/** A launcher with so many ranks, on a host. */
export interface Launcher {
  readonly host: Host;
  readonly ranks: number;
  /** Options beside those that all have. @default {none} */
  readonly args?: readonly string[];
}

/** Starts the first launcher, which writes an invitation, and the others, which come with it. */
export async function startByInvitation(
  [first, ...others]: readonly Launcher[],
  folder: string,
  options: readonly string[] = TINY,
): Promise<Running[]> {
  const invitation = ["--invitation", `${folder}/invitation`];
  const world = others.reduce((sum, { ranks }) => sum + ranks, first.ranks);
  const coordinator = first.host.start(celgc(
    ...["launch", "--ranks", String(first.ranks), "--world", String(world), ...invitation],
    ...[...first.args ?? [], ...options, "--out", `${folder}/run`],
  ));
  await coordinator.printed(/can join/);
  const started = [coordinator];
  for (const { host, ranks, args = [] } of others) {
    const agent = host.start(celgc("join", "--ranks", String(ranks), ...invitation, ...args));
    started.push(agent);
    // The order of ranks is that of arrival.
    await agent.printed(/joined job/);
  }
  return started;
>>>>>>> 62dac5e (rendezvous: one port a host is enough, and hosts that can only dial out meet at a relay)
}
