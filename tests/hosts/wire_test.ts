/** What passes between hosts, and what happens when nothing does. */

import assert from "node:assert/strict";
import { leftOn, makeHosts, namespacesNote, noNamespaces, type Running } from "./_hosts.ts";
import { temporaryFolder } from "../_helpers/temporary_folder.ts";

const program = new URL(import.meta.resolve("./programs/exchanges.ts")).href;
const ignore = noNamespaces !== null;

/** Starts `each` ranks of the program on every host. */
async function startRanks(
  hosts: Awaited<ReturnType<typeof makeHosts>>,
  folder: string,
  each: number,
  args: string[],
  env: Record<string, string> = {},
): Promise<Running[]> {
  const secret = `${folder}/secret`, size = each * hosts.all.length;
  await Deno.writeTextFile(secret, "0a".repeat(32), { mode: 0o600 });
  return Array.from({ length: size }, (_, rank) =>
    hosts.all[Math.floor(rank / each)].start(
      [Deno.execPath(), "run", "-A", "--no-check", program, ...args],
      {
        env: {
          ...{ RANK: String(rank), WORLD_SIZE: String(size) },
          ...{ MASTER_ADDR: "host-a", MASTER_PORT: "29500", CELGC_SECRET_FILE: secret },
          ...env,
        },
      },
    ));
}

Deno.test({
  name: `the kernel counts what the ranks count, and TCP's headers${namespacesNote}`,
  ignore,
  async fn() {
    await using folder = await temporaryFolder();
    await using hosts = await makeHosts(2);
    const [a, b] = hosts.all;
    const ranks = await startRanks(hosts, folder.path, 1, ["8", "1000000"]);
    await ranks[0].printed(/pid/);
    const ended = await Promise.all(ranks.map((rank) => rank.ended));
    const counted = [await a.traffic(), await b.traffic()];
    for (const [i, { code, stdout, stderr }] of ended.entries()) {
      assert.equal(code, 0, stderr);
      const sent = Number(/ sent (\d+)/.exec(stdout)![1]);
      // n bytes to the other host for each sum of n bytes: half of each buffer there, half of the sum.
      assert.ok(sent / 32_000_000 > 0.999 && sent / 32_000_000 < 1.01, `${sent}`);
      // A frame of the kernel's has 66 bytes of headers, each way, and up to 64 KiB of data.
      const ratio = counted[i].sent / sent;
      assert.ok(ratio > 1 && ratio < 1.02, `host ${i}: ${counted[i].sent} bytes for ${sent}`);
    }
  },
});

Deno.test({
  name: `a cut cable ends the ranks on both sides, each naming one of the other${namespacesNote}`,
  ignore,
  async fn() {
    await using folder = await temporaryFolder();
    await using hosts = await makeHosts(2);
    const timeout = 3;
    const env = { CELGC_TIMEOUT: String(timeout) };
    const ranks = await startRanks(hosts, folder.path, 2, ["1000000", "1000"], env);
    await Promise.all(ranks.map((rank) => rank.printed(/pid/)));
    await hosts[1].cut();
    const cut = performance.now();
    const ended = await Promise.all(ranks.map((rank) => rank.ended));
    const seconds = (performance.now() - cut) / 1000;
    for (const [rank, { code, stderr }] of ended.entries()) {
      assert.equal(code, 1, stderr);
      assert.match(stderr, rank < 2 ? /lost rank [23] on/ : /lost rank [01] on/, stderr);
    }
    // Ranks that the others have told that the job is over end with it.
    assert.ok(seconds > 0.9 * timeout && seconds < timeout + 10, `${seconds} s`);
    assert.deepEqual(await leftOn(hosts, 1000), []);
  },
});
