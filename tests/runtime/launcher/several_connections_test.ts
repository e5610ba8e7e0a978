/** Several connections between ranks of hosts that dial each other, have one port each, or meet at the relay. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { launchProgram } from "../../../runtime/launcher/launch.ts";
import { openWorld } from "../../../runtime/launcher/across_hosts.ts";

/** What the two hosts join with. */
const WAYS: Record<string, (host: number) => string[]> = {
  "that dial each other": () => [],
  "with one port each": (host) => ["--port", String(29650 + host)],
  // An address for documentation (RFC 5737): nobody has it.
  "that meet at the relay": () => ["--listen", "192.0.2.77"],
};

const MAIN = fileURLToPath(new URL("../../../tasks/cli/main.ts", import.meta.url));
const PROGRAM = new URL("../programs/hosts/connections.ts", import.meta.url);

/** Runs a rank on this host and one on each of two others, which are processes with names of their own. */
async function run(join: (host: number) => string[], connections: number) {
  const folder = await Deno.makeTempDir({ prefix: "celgc-test-" });
  const invitation = `${folder}/invitation`;
  const opening = openWorld({ ranks: 1, world: 3, invitation, say: () => {} });
  while (!await Deno.stat(invitation).then(() => true, () => false)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const agents = [1, 2].map((host) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", MAIN, "join", "--quiet", "--invitation", invitation]
        .concat(join(host), "--ranks", "1"),
      env: { CELGC_HOST: `host-${host}` },
      stdout: "null",
      stderr: "null",
    }).spawn()
  );
  const lines: string[] = [];
  {
    await using on = await opening;
    const { code, failure } = await launchProgram({
      ranks: 3,
      program: PROGRAM,
      on,
      connections,
      quiet: true,
      onOutput: (rank, line) => void (lines[rank] = line),
    });
    assert.equal(code, 0, `${failure?.message}`);
  }
  await Promise.all(agents.map(({ status }) => status));
  await Deno.remove(folder, { recursive: true });
  return lines.map((line) => JSON.parse(line) as { wrong: number; sent: number });
}

for (const [hosts, join] of Object.entries(WAYS)) {
  Deno.test(`ranks on hosts ${hosts} use as many connections as are asked for`, async () => {
    const one = await run(join, 1), three = await run(join, 3);
    for (const { wrong } of [...one, ...three]) assert.equal(wrong, 0);
    // In each of 10 calls two blocks go to each of two others, in three packets and their header of 76 bytes
    // instead of one; in two they would be 2880 bytes less, give or take a few small frames.
    for (const [rank, { sent }] of three.entries()) {
      const more = sent - one[rank].sent;
      assert.ok(Math.abs(more - 10 * 4 * (76 + 2 * 72)) < 1440, `rank ${rank}: ${more} bytes more`);
    }
  });
}

Deno.test("a number of connections that cannot be is refused before anything starts", async () => {
  for (const connections of [0, 1.5, 65]) {
    await assert.rejects(launchProgram({ ranks: 2, program: PROGRAM, connections }), {
      name: "RangeError",
      message: `cannot launch: two ranks have 1 to 64 connections, not ${connections}`,
    });
  }
});
