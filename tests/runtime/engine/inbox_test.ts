import assert from "node:assert/strict";
import { Inbox, type InboxOwner } from "../../../runtime/engine/_inbox.ts";

/** An inbox of rank 0 of two; nobody is lost. */
function inboxOf(): Inbox {
  const group = {
    size: 2,
    name: (member: number) => `rank ${member}`,
    lossOf: () => undefined,
    expecting: () => ({ [Symbol.dispose]() {} }),
  };
  return new Inbox({ group, operation: "bcast" } as unknown as InboxOwner);
}

/** Bytes arrive as a connection brings them: a place is asked for, filled, and done. */
function bring(inbox: Inbox, number: number, bytes: Uint8Array): () => void {
  const { into, done } = inbox.accept(1, number, 1, bytes.length);
  into.set(bytes);
  return () => done();
}

const BYTES = Uint8Array.of(1, 2, 3);
const WRONG = /^Error: bcast: segment 5 from rank 1 has 3 bytes, expected 4$/;

Deno.test("a payload is read whether it comes before or after it is waited for", async () => {
  const early = inboxOf(), late = inboxOf(), between = inboxOf();
  bring(early, 5, BYTES)();
  assert.deepEqual(await early.receive(1, 5, 1, new Uint8Array(3)), BYTES);
  const waited = late.receive(1, 5, 1, new Uint8Array(3));
  bring(late, 5, BYTES)();
  assert.deepEqual(await waited, BYTES);
  const done = bring(between, 5, BYTES);
  const into = new Uint8Array(3), received = between.receive(1, 5, 1, into);
  done();
  assert.equal(await received, into);
  assert.deepEqual(into, BYTES);
});

Deno.test("a payload of another length than is waited for is refused, whenever it comes", async () => {
  const early = inboxOf(), late = inboxOf(), between = inboxOf();
  bring(early, 5, BYTES)();
  await assert.rejects(early.receive(1, 5, 1, new Uint8Array(4)), WRONG);
  const waited = late.receive(1, 5, 1, new Uint8Array(4));
  assert.throws(() => bring(late, 5, BYTES), WRONG);
  late.fail(new Error("the end"));
  await assert.rejects(waited, /the end/);
  const done = bring(between, 5, BYTES);
  const received = between.receive(1, 5, 1, new Uint8Array(4));
  done();
  await assert.rejects(received, WRONG);
});

Deno.test("where another length is welcome it is handed over as it came", async () => {
  const early = inboxOf(), late = inboxOf();
  bring(early, 5, BYTES)();
  assert.deepEqual(await early.receive(1, 5, 1, new Uint8Array(4), true), BYTES);
  const waited = late.receive(1, 5, 1, new Uint8Array(4), true);
  bring(late, 5, BYTES)();
  assert.deepEqual(await waited, BYTES);
});
