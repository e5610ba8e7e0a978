import assert from "node:assert/strict";
import { LostPeers } from "../../../runtime/engine/lost_peers.ts";
import type { Transport } from "../../../runtime/transport/transport.ts";

/** As much of a transport as who tells of losses needs. */
const TRANSPORT = {
  ...{ rank: 0, size: 3, hosts: ["a", "a", "a"], onFailure: "abort" },
  send: () => Promise.resolve(),
  report: () => Promise.resolve(),
} as unknown as Transport;

/** What a barrier fails with when the transport has lost rank 1. */
function failure(cause: Error) {
  const lost = new LostPeers(TRANSPORT, () => {});
  lost.lost(1, cause);
  return lost.error(1, "barrier");
}

Deno.test("a reason that is told in words is no cause besides, with frames of the runtime", () => {
  const error = failure(new Error("it ended with exit code 1"));
  assert.match(error.message, /lost rank 1 on a: it ended with exit code 1$/);
  assert.equal(error.cause, undefined);
});

Deno.test("the error underneath a loss is its cause", () => {
  const reset = new Deno.errors.ConnectionReset("Connection reset by peer");
  assert.equal(failure(new Error("its connection broke", { cause: reset })).cause, reset);
});
