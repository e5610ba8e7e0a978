/** Mailboxes whose frames cannot be taken in. Both ends are in this process. */

import assert from "node:assert/strict";
import {
  Mailbox,
  MAILBOX_BYTES,
  mailboxBytes,
  RemoteMailbox,
} from "../../../runtime/shared_memory/mailbox.ts";
import { PAGE_BYTES, SharedMemory } from "../../../runtime/shared_memory/memory.ts";
import { HEADER_BYTES } from "../../../runtime/transport/transport.ts";

const memory = SharedMemory.open()!, SIZE = 2;

/** A mailbox of rank 1 of 2, and what rank 0 writes to. */
function pair(deliver: (payload: Uint8Array) => void) {
  const bytes = new Uint8Array(mailboxBytes(SIZE));
  const segment = { bytes, words: new Int32Array(bytes.buffer, 0, PAGE_BYTES / 4) };
  const arena = { memory, segments: [segment], spinMs: 0 };
  const own = new Mailbox(arena, 0, SIZE, (_from, _header, payload) => deliver(payload));
  const remote = new RemoteMailbox(arena, 0);
  const post = (payload: Uint8Array) => remote.post(0, 0, new Uint8Array(HEADER_BYTES), payload);
  return { own, post, words: new Int32Array(bytes.buffer) };
}

Deno.test({
  name: "a frame in shared memory that says it is too long is refused",
  ignore: memory === null,
  fn() {
    const arrived: number[] = [];
    const { own, post, words } = pair((payload) => arrived.push(payload.length));
    for (const length of [MAILBOX_BYTES + 1, -1, 0x7fffffff]) {
      post(new Uint8Array(12_345));
      words[words.indexOf(12_345)] = length;
      const found = new RegExp(`shared with rank 0: .* 0 to 32768 bytes, found ${length};`);
      assert.throws(() => own.empty(), { message: found });
      own.empty(); // it is gone
    }
    for (const length of [0, MAILBOX_BYTES]) {
      post(new Uint8Array(length));
      own.empty();
    }
    assert.deepEqual(arrived, [0, MAILBOX_BYTES]);
    assert.equal(post(new Uint8Array(MAILBOX_BYTES + 1)), null);
  },
});

Deno.test({
  name: "a rank that could not take in a frame is still called from its event loop",
  ignore: memory === null,
  fn() {
    let broken = true;
    const { own, post } = pair(() => {
      if (broken) throw new Error("cannot take it in");
    });
    post(new Uint8Array(1));
    assert.throws(() => own.poll(() => 1), /cannot take it in/);
    broken = false;
    assert.equal(post(new Uint8Array(1)), true); // it is neither polling nor asleep
  },
});
