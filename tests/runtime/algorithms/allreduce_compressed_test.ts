import assert from "node:assert/strict";
import { receiveInput } from "../../../runtime/algorithms/allreduce_compressed.ts";
import type { CollectiveCall } from "../../../runtime/engine/call.ts";
import { SEGMENT_BYTES } from "../../../runtime/engine/tuning.ts";

/** What is made of payloads of these lengths from rank 1, segment by segment, where `length` bytes may come. */
function received(lengths: readonly number[], length: number): Promise<Uint8Array | null> {
  let next = 0;
  const call = {
    operation: "allreduce",
    group: { name: (member: number) => `rank ${member}` },
    receiveOrOther: (_from: number, _segment: number, into: Uint8Array) => {
      const payload = new Uint8Array(lengths[next++]).fill(7);
      if (payload.length !== into.length) return Promise.resolve(payload);
      into.set(payload);
      return Promise.resolve(into);
    },
  };
  return receiveInput(call as unknown as CollectiveCall, 1, new Uint8Array(length));
}

Deno.test("what a rank contributes to a compressed sum is whole or nothing, and else refused", async () => {
  const whole = [SEGMENT_BYTES, 5], length = SEGMENT_BYTES + 5;
  assert.deepEqual(await received(whole, length), new Uint8Array(length).fill(7));
  assert.equal(await received([0, 0], length), null);
  assert.equal((await received([], 0))!.length, 0);
  for (
    const lengths of [[SEGMENT_BYTES, 4], [SEGMENT_BYTES, 6], [SEGMENT_BYTES, 0], [0, 5], [3, 5]]
  ) {
    const refusal =
      /^Error: allreduce: rank 1 contributes \d+ bytes where \d+ or none are expected$/;
    await assert.rejects(received(lengths, length), refusal, String(lengths));
  }
});
