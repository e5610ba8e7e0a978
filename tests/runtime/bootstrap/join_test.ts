/** Joining a job, in this process. */

import assert from "node:assert/strict";
import { worldCommunicator } from "../../../runtime/communicator.ts";
import type { ProcessInfo } from "../../../runtime/bootstrap/environment.ts";
import { joinJob } from "../../../runtime/bootstrap/join.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

Deno.test("under a launcher that is not ours a rank sees its words of a loss off, while rank 0 lives as well", async () => {
  await using folder = await temporaryFolder();
  const info = (rank: number): ProcessInfo => ({
    ...{ rank, size: 2, job: "join-test", launcher: "kubernetes", near: true },
    ...{ rendezvous: null, rendezvousFile: `${folder.path}/rendezvous`, secretFile: null },
    ...{ address: null, addresses: null, port: 0, gateway: null, dialsOut: false, host: "here" },
    ...{ transport: "tcp", connections: 1, link: null, tls: null, sockets: null },
    ...{ mpiLibrary: null, mpiLauncher: null, isNewcomer: false, onFailure: "abort" },
    ...{ timeoutMs: 60_000, joinMs: 60_000 },
  });
  const transports = await Promise.all([0, 1].map((rank) => joinJob(info(rank))));
  const ranks = transports.map((transport) => worldCommunicator(transport));
  for (const transport of transports) {
    const sent = transport.wordsSent?.() ?? null;
    assert.notEqual(sent, null);
    await sent;
  }
  await Promise.all(ranks.map((comm) => comm[Symbol.asyncDispose]()));
});
