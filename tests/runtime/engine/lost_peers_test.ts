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

Deno.test("where no launcher tells the others, nothing fails before they can know of it, in the order of losses", async () => {
  const told: string[] = [], noted: number[] = [];
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const waits = gates.map(({ promise }) => promise);
  const transport = {
    ...TRANSPORT,
    ...{ size: 4, hosts: ["a", "a", "a", "a"] },
    send: (to: number) => Promise.resolve(void told.push(`to ${to}`)),
    wordsSent: () => waits.shift()!,
  } as unknown as Transport;
  const lost = new LostPeers(transport, (rank) => void noted.push(rank));
  const first = lost.lost(1, new Error("killed")), second = lost.lost(2, new Error("failed"));
  assert.deepEqual(told, ["to 2", "to 3", "to 3"]);
  gates[1].resolve();
  await new Promise((go) => setTimeout(go));
  assert.deepEqual([noted, lost.get(1), lost.get(2)], [[], undefined, undefined]);
  gates[0].resolve();
  await Promise.all([first, second]);
  assert.deepEqual(noted, [1, 2]);
  assert.equal(lost.error(2, "barrier").rank, 1);
});

Deno.test("where a launcher tells them, what cannot do without a lost rank fails at once", () => {
  const noted: number[] = [];
  const transport = { ...TRANSPORT, wordsSent: () => null } as unknown as Transport;
  const lost = new LostPeers(transport, (rank) => void noted.push(rank));
  lost.lost(1, new Error("killed"));
  assert.deepEqual(noted, [1]);
});
