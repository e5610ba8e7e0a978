import assert from "node:assert/strict";
import { ANY_SOURCE } from "../../../runtime/base/status.ts";
import { Stats } from "../../../runtime/base/stats.ts";
import type { Group } from "../../../runtime/engine/group.ts";
import { MessageKind } from "../../../runtime/engine/header.ts";
import { PointToPoint } from "../../../runtime/engine/point_to_point.ts";

/** The messages of rank 0 of three. @param lost those that are, as the program knows */
function messagesOfThree(lost: readonly number[] = []): PointToPoint {
  return new PointToPoint(
    {
      id: 1,
      rank: 0,
      size: 3,
      stats: new Stats(),
      failure: null,
      name: (member: number) => `rank ${member}`,
      send: () => Promise.resolve(),
      acknowledged: lost,
      lossOf: (member: number) => lost.includes(member) ? { orderly: false } : undefined,
      lostError: (member: number) => new Error(`lost rank ${member}`),
      expecting: () => ({ [Symbol.dispose]() {} }),
    } as unknown as Group,
  );
}

const ENVELOPE = { context: 1, type: 0, count: 3, tag: 7 };

/** A message of three bytes begins to arrive. Returns what completes it. */
function begin(messages: PointToPoint, from = 1): () => void {
  const { into, done } = messages.accept(from, { kind: MessageKind.EAGER, ...ENVELOPE }, 3);
  return () => {
    into.set([1, 2, 3]);
    done();
  };
}

for (const when of ["before its message begins to arrive", "while its message arrives"]) {
  Deno.test(`a receive that was begun ${when} ends with the communicator`, async () => {
    for (const fails of [false, true]) {
      const messages = messagesOfThree(), buffer = new Uint8Array(3);
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

Deno.test("a receive from anybody is not given what a lost member only begins to send", async () => {
  for (const begins of ["a message", "an announcement"]) {
    const messages = messagesOfThree([1]), buffer = new Uint8Array(3);
    const received = messages.receive(buffer, ANY_SOURCE, 7);
    if (begins === "a message") begin(messages, 1);
    else {
      const kind = MessageKind.REQUEST_TO_SEND;
      messages.accept(1, { kind, ...ENVELOPE, message: 1, bytes: 3 }, 0).done();
    }
    begin(messages, 2)();
    assert.deepEqual([(await received).source, ...buffer], [2, 1, 2, 3], begins);
  }
});

Deno.test("what a lost member has sent whole is received", async () => {
  const messages = messagesOfThree([1]), buffer = new Uint8Array(3);
  const received = messages.receive(buffer, ANY_SOURCE, 7);
  begin(messages, 1)();
  assert.deepEqual([(await received).source, ...buffer], [1, 1, 2, 3]);
});

for (const comes of [false, true]) {
  const what = comes ? "comes all the same, is received" : "does not come, is not waited for";
  Deno.test(`what a member is sending when it is lost, and ${what}`, async () => {
    const lost: number[] = [], messages = messagesOfThree(lost), buffer = new Uint8Array(3);
    const complete = begin(messages, 1);
    assert.equal((await messages.probe(1, 7)).count, 3, "it is there, as far as anybody knows");
    lost.push(1);
    messages.peerLost(1);
    const received = messages.receive(buffer, ANY_SOURCE, 7);
    if (comes) complete();
    else begin(messages, 2)();
    assert.deepEqual([(await received).source, ...buffer], [comes ? 1 : 2, 1, 2, 3]);
    if (!comes) await assert.rejects(messages.receive(buffer, 1, 7), /lost/);
  });
}
