import assert from "node:assert/strict";
import { Stats } from "../../../runtime/base/stats.ts";
import type { Group } from "../../../runtime/engine/group.ts";
import { MessageKind } from "../../../runtime/engine/header.ts";
import { PointToPoint } from "../../../runtime/engine/point_to_point.ts";

/** The messages of rank 0 of two; nobody is lost. */
function messagesOfTwo(): PointToPoint {
  return new PointToPoint(
    {
      id: 1,
      rank: 0,
      size: 2,
      stats: new Stats(),
      failure: null,
      name: (member: number) => `rank ${member}`,
      send: () => Promise.resolve(),
      lossOf: () => undefined,
      expecting: () => ({ [Symbol.dispose]() {} }),
    } as unknown as Group,
  );
}

/** A message of three bytes begins to arrive. Returns what completes it. */
function begin(messages: PointToPoint): () => void {
  const frame = { kind: MessageKind.EAGER, context: 1, type: 0, count: 3, tag: 7 };
  const { into, done } = messages.accept(1, frame, 3);
  return () => {
    into.set([1, 2, 3]);
    done();
  };
}

for (const when of ["before its message begins to arrive", "while its message arrives"]) {
  Deno.test(`a receive that was begun ${when} ends with the communicator`, async () => {
    for (const fails of [false, true]) {
      const messages = messagesOfTwo(), buffer = new Uint8Array(3);
      const isFirst = when.startsWith("before");
      let received = isFirst ? messages.receive(buffer, 1, 7) : null;
      const complete = begin(messages);
      received ??= messages.receive(buffer, 1, 7);
      const outcome = Promise.allSettled([received]);
      if (fails) messages.fail(new Error("the communicator has been freed"));
      else complete();
      const [{ status }] = await outcome;
      assert.equal(status, fails ? "rejected" : "fulfilled");
      if (fails) {
        await assert.rejects(received, /the communicator has been freed/);
        complete(); // it arrives all the same, and nobody waits for it
      } else assert.deepEqual(buffer, Uint8Array.of(1, 2, 3));
    }
  });
}
