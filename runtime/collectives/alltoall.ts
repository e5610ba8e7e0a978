import type { Context } from "../engine/context.ts";
import { describeCount, type TypedArray } from "../base/datatypes.ts";
import {
  apart,
  blocksOf,
  blocksToFill,
  decodeCounts,
  EMPTY,
  encodeCounts,
  type Layout,
  others,
  receiveBlock,
  sameType,
  sendBlock,
  uniform,
} from "../algorithms/blocks.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { pack, unpack } from "../base/pack.ts";
import { SMALL_BYTES } from "../engine/tuning.ts";

/** Sends the r-th block of `send` to rank r and receives its block for this rank; all of one length. */
export async function alltoall(
  context: Context,
  send: TypedArray,
  recv: TypedArray,
): Promise<void> {
  const { size } = context, type = sameType("alltoall", send, recv);
  if (send.length % size !== 0 || recv.length !== send.length) {
    throw new RangeError(
      `cannot alltoall: send and recv must hold the same multiple of ${size} elements, ` +
        `found ${send.length} and ${recv.length}`,
    );
  }
  const layout = uniform(send.length / size, size);
  const blocks = blocksOf("cannot alltoall: send", send, layout, size);
  const recvBlocks = blocksOf("cannot alltoall: recv", recv, layout, size);
  const signature = { name: "alltoall", type: type.code, count: send.length } as const;
  await context.collective(signature, (call) => trade(call, blocks, recvBlocks, EMPTY));
}

/** Sends a block to every rank and receives one from every rank, each of its own length. */
export async function alltoallv(
  context: Context,
  send: TypedArray,
  sendLayout: Layout,
  recv: TypedArray,
  recvLayout: Layout,
): Promise<void> {
  const { size } = context, type = sameType("alltoallv", send, recv);
  const blocks = blocksOf("cannot alltoallv: send", send, sendLayout, size);
  const recvBlocks = blocksToFill("cannot alltoallv: recv", recv, recvLayout, size);
  const counts = encodeCounts([...sendLayout.counts, ...recvLayout.counts]);
  const signature = { name: "alltoallv", type: type.code } as const;
  await context.collective(signature, (call) =>
    trade(call, blocks, recvBlocks, counts, (metas) => {
      for (let from = 0; from < size; from++) {
        for (let to = 0; to < size; to++) {
          const sent = metas[from][to], expected = metas[to][size + from];
          if (sent === expected) continue;
          context.mismatch(
            `cannot alltoallv: ${context.name(from)} passed ${describeCount(sent, type)} for ` +
              `${context.name(to)}, which expected ${expected}`,
          );
        }
      }
    }));
}

/**
 * A block of up to `SMALL_BYTES`/N travels in the tree exchange. A larger one goes straight into
 * its receiver's buffer, first to rank r+1, then r+2, …: 1 step more, n(N−1)/N bytes from each rank.
 */
async function trade(
  call: CollectiveCall,
  sendBlocks: Uint8Array[],
  recvBlocks: Uint8Array[],
  meta: Uint8Array,
  verify?: (metas: number[][]) => void,
): Promise<void> {
  const { rank, size } = call.group;
  const blocks = apart(sendBlocks, recvBlocks, [sendBlocks[rank], recvBlocks[rank]]);
  const isSmall = (block: Uint8Array) => block.length * size <= SMALL_BYTES;
  const incoming = recvBlocks.map((block, from) =>
    from === rank || isSmall(block) ? null : receiveBlock(call, from, block)
  );
  const small = blocks.map((block, to) => to !== rank && isSmall(block) ? block : EMPTY);
  const answer = await call.exchange(pack([meta, ...small]), (contributions) => {
    const rows = contributions.map((one) => unpack(one, 1 + size));
    verify?.(rows.map(([counts]) => decodeCounts(counts)));
    return rows.map((_, to) => pack(rows.map((row) => row[1 + to])));
  });
  const arrived = unpack(answer, size);
  recvBlocks.forEach((block, from) => {
    if (from === rank) block.set(blocks[rank]);
    else if (isSmall(block)) block.set(arrived[from]);
  });
  const large = others(call.group).filter((to) => !isSmall(blocks[to]));
  await Promise.all(large.map((to) => sendBlock(call, to, blocks[to])));
  await Promise.all(incoming);
}
