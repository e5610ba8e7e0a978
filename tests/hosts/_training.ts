/** Runs of the trainer on hosts of a test, and what they are compared with: the same ranks on one host. */

import assert from "node:assert/strict";
import { celgc as here, ROOT } from "../_helpers/deno.ts";
import { temporaryFolder } from "../_helpers/temporary_folder.ts";
import { type Hosts, leftOn, type Running } from "./_hosts.ts";

const main = new URL("tasks/cli/main.ts", ROOT).href;

/** A command of the command line, with options and a program. */
export const celgc = (...args: string[]) => [
  ...[Deno.execPath(), "run", "-A", "--no-check", main],
  ...args,
];

/** Two rounds of two steps; the order of samples, and so the weights, depend on the number of ranks. */
export const TINY =
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
}
