import assert from "node:assert/strict";
import { EncodedSlices } from "../../../runtime/algorithms/_encoded_slices.ts";
import { receiveInput } from "../../../runtime/algorithms/allreduce_compressed.ts";
import { HostNumbers } from "../../../runtime/algorithms/encoded_numbers.ts";
import { float32 } from "../../../runtime/compression/float32.ts";
import { chunks } from "../../../runtime/algorithms/partition.ts";
import { codecOf } from "../../../runtime/compression/registry.ts";
import type { CollectiveCall } from "../../../runtime/engine/call.ts";
import { SEGMENT_BYTES } from "../../../runtime/engine/tuning.ts";
import { allreduce } from "../../_helpers/compressed_sum.ts";
import { world } from "../../_helpers/world.ts";
import { floats, sameBits } from "../_values.ts";

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

/** Slices of three ranks, of numbers of a codec and some as they are. */
function slices(rank: number) {
  const codec = codecOf("mxint8")!;
  const made = (count: number) => Float32Array.from({ length: count }, (_, i) => i + 100 * rank);
  return new EncodedSlices([
    { codec, numbers: new HostNumbers(codec, made(200)) },
    { codec: float32, numbers: new HostNumbers(float32, made(9)) },
  ], 3);
}

Deno.test("a bundle of two ranks' slices gives what the slices give, and is refused if it is cut", async () => {
  const written = [1, 2].map((rank) => {
    const all = slices(rank);
    all.write(0);
    return all.of(0);
  });
  const bundle = slices(1).bundle(0, written), ranks = [1, 2];
  assert.equal(slices(1).bundle(0, [null, null]).length, 0);
  const sum = async (inputs: (Uint8Array | null)[], bytes?: Uint8Array) => {
    const own = slices(0);
    await own.sum(0, ["own", ...inputs], bytes && [{ ranks, bytes }]);
    return own.of(0).slice();
  };
  const apart = await sum(written);
  assert.deepEqual(await sum([null, null], bundle), apart);
  assert.deepEqual(
    await sum([null, null], slices(1).bundle(0, [null, written[1]])),
    await sum([null, written[1]]),
  );
  assert.deepEqual(await sum([null, null], new Uint8Array()), await sum([null, null]));
  for (let end = 1; end < bundle.length; end++) {
    await assert.rejects(sum([null, null], bundle.subarray(0, end)), RangeError, `${end}`);
  }
  await assert.rejects(sum([null, null], Uint8Array.of(...bundle, 1)), {
    name: "RangeError",
    message: /a bundle of the slice of rank 0 by ranks 1, 2 has \d+ bytes, but says \d+/,
  });
});

for (
  const [words, ranks, blocks, beyond] of [
    ["longer", 2, 2 * 2016 + 1, 0],
    ["longer", 3, 3 * 2016 + 1, 0],
    ["shorter", 2, 2 * 2016 + 1, 1],
  ] as const
) {
  Deno.test(`a compressed sum ends where the last of ${ranks} slices is by a segment ${words} than the others`, async () => {
    const count = 256 * blocks + beyond, codec = codecOf("int8")!;
    const segments = chunks(count, ranks, codec.block)
      .map(({ start, end }) => Math.ceil(codec.bytes(end - start) / SEGMENT_BYTES));
    assert.notEqual(segments.at(-1), segments[0]);
    await using job = await world(ranks);
    const made = (rank: number) => floats(count, (i) => i % 97 + rank);
    const sums = job.ranks.map(({ rank }) => made(rank)), expected = sums.map((sum) => sum.slice());
    allreduce("int8", expected);
    await Promise.all(
      job.ranks.map((comm) => comm.allreduce(sums[comm.rank], { compress: "int8" })),
    );
    for (const sum of sums) sameBits("sum", sum, expected[0]);
  });
}
