/** What a rank says of a loss before it ends, where no launcher tells the others. */

import assert from "node:assert/strict";
import { worldCommunicator } from "../../../runtime/communicator.ts";
import { PeerLostError } from "../../../runtime/base/errors.ts";
import { encodeEager } from "../../../runtime/engine/header.ts";
import type { JobControl } from "../../../runtime/transport/transport.ts";
import { connect, Recorder } from "../../_helpers/mesh.ts";

/** Of a communicator that only the sender has. */
const FRAME = encodeEager({ context: 1 << 20, type: 0, count: 0, tag: 0 });

/** As a rank is to the others that serves their rendezvous. */
const RANK: JobControl = {
  tellsLosses: false,
  start() {},
  report: () => Promise.resolve(),
  abort: () => Promise.resolve(),
  finalize: () => Promise.resolve(),
};

for (const [who, control] of [["nobody", undefined], ["another rank", RANK]] as const) {
  Deno.test(`who fails in the middle of a frame says first who was lost where ${who} looks after the job`, async () => {
    await using net = await connect(4, { control });
    const [fails, ends, computes, hears] = net.transports;
    const failing = worldCommunicator(fails);
    // More than sockets hold.
    fails.send(2, FRAME, new Uint8Array(16 << 20)).catch(() => {});
    const ended = assert.rejects(failing.recv(new Float32Array(1), 1, 0), PeerLostError)
      .then(() => net.connections[0][2]!.close()); // as its process ends
    net.connections[1][0]!.close();
    await net.connections[3][0]!.read(new Uint8Array(1000)); // it has told that one
    await new Promise((resolve) => setTimeout(resolve));
    const other = worldCommunicator(computes);
    await assert.rejects(other.recv(new Float32Array(1), 0, 0), (error) => {
      assert.ok(error instanceof PeerLostError);
      assert.equal(error.rank, 1, error.message);
      return true;
    });
    await ended;
    for (const transport of [ends, hears]) transport.start(new Recorder());
  });
}
