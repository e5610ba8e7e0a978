/** Several connections between ranks of hosts that dial each other, have one port each, or meet at the relay. */

import assert from "node:assert/strict";
import { launchProgram } from "../../../runtime/launcher/launch.ts";
import { program } from "../../_helpers/jobs.ts";
import { runOnThreeHosts, waysBetweenHosts } from "../_three_hosts.ts";

const PROGRAM = program("hosts/connections");

/** Runs it with so many connections between each two ranks. */
async function run(join: (host: number) => string[], connections: number) {
  const { code, failure, last } = await runOnThreeHosts(join, { program: PROGRAM, connections });
  assert.equal(code, 0, `${failure?.message}`);
  return last.map((line) => JSON.parse(line) as { wrong: number; sent: number });
}

for (const [hosts, join] of Object.entries(waysBetweenHosts(29650))) {
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
