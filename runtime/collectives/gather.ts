import type { Context } from "../context.ts";
import { bytesOf, datatypeOf, type TypedArray } from "../datatypes.ts";
import { checkRank } from "../point_to_point.ts";
import { SEGMENT_BYTES, SMALL_BYTES } from "./_tuning.ts";

/**
 * Collects every member's `send` at `root`, in the order of ranks.
 *
 * Small: within the wave. Large: each member sends straight to the root, which has offered every
 * part its place: 1 step, n bytes a rank.
 *
 * @param recv at the root, N times as long as `send`; ignored elsewhere
 */
export async function gather(
  context: Context,
  send: TypedArray,
  recv: TypedArray | null,
  root = 0,
): Promise<void> {
  const type = datatypeOf(send, "send");
  checkRank(root, context.size, "root");
  void SEGMENT_BYTES;
  const { rank, size } = context;
  if (rank === root) checkLength(recv, send, size);
  const mine = bytesOf(send);
  const signature = { name: "gather", type: type.code, count: send.length, root } as const;
  await context.collective(signature, async (call) => {
    const all = rank === root ? bytesOf(recv!) : mine.subarray(0, 0);
    const place = (from: number) => all.subarray(from * mine.length, (from + 1) * mine.length);
    if (mine.length <= SMALL_BYTES) {
      const nothing = new Uint8Array(0);
      const answer = await call.exchange(
        mine,
        (parts) => parts.map((_, to) => to === root ? concatenate(parts) : nothing),
      );
      if (rank === root) all.set(answer);
      return;
    }
    const incoming = rank === root
      ? Array.from({ length: size - 1 }, (_, i) => (root + 1 + i) % size)
        .map((from) => call.receive(from, 0, place(from)))
      : [];
    await call.agree();
    if (rank === root) place(root).set(mine);
    else await call.send(root, 0, mine);
    await Promise.all(incoming);
  });
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function checkLength(recv: TypedArray | null, send: TypedArray, size: number): void {
  if (recv === null || recv.length !== send.length * size) {
    throw new RangeError(
      `cannot gather: recv must hold ${send.length * size} elements at the root, ` +
        `found ${recv === null ? "null" : recv.length}`,
    );
  }
}
