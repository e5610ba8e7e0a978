import type { Context } from "../engine/context.ts";
import { bytesOf, type TypedArray } from "../base/datatypes.ts";
import {
  apart,
  blocksOf,
  blocksToFill,
  decodeCounts,
  EMPTY,
  encodeCounts,
  type Layout,
  sameType,
  uniform,
} from "../algorithms/blocks.ts";
import { receiveSpread, sendSpread } from "../algorithms/spread_blocks.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { pack, unpack } from "../base/pack.ts";
import { isSmall } from "../engine/tuning.ts";

/** Collects every member's `send`, all of one length, at every member, in the order of ranks. */
export async function allgather(
  context: Context,
  send: TypedArray,
  recv: TypedArray,
): Promise<void> {
  const type = sameType("allgather", send, recv);
  const layout = uniform(send.length, context.size);
  const recvBlocks = blocksOf("cannot allgather: recv", recv, layout, context.size);
  const signature = { name: "allgather", type: type.code, count: send.length } as const;
  await context.collective(signature, (call) => collect(call, bytesOf(send), recvBlocks, EMPTY));
}

/** Collects blocks of different lengths at every member; all pass the same counts. */
export async function allgatherv(
  context: Context,
  send: TypedArray,
  recv: TypedArray,
  layout: Layout,
): Promise<void> {
  const type = sameType("allgatherv", send, recv);
  const recvBlocks = blocksToFill("cannot allgatherv: recv", recv, layout, context.size);
  const { rank } = context, { counts } = layout;
  if (send.length !== counts[rank]) {
    throw new RangeError(
      `cannot allgatherv: send must hold counts[${rank}] = ${counts[rank]} elements, ` +
        `found ${send.length}`,
    );
  }
  const signature = { name: "allgatherv", type: type.code } as const;
  await context.collective(
    signature,
    (call) =>
      collect(call, bytesOf(send), recvBlocks, encodeCounts(counts), (metas) => {
        const [first] = metas.map((list) => list.join(", "));
        metas.forEach((list, from) => {
          if (list.join(", ") === first) return;
          context.mismatch(
            `cannot allgatherv: ${context.name(from)} passed counts [${list.join(", ")}], ` +
              `${context.name(0)} passed [${first}]`,
          );
        });
      }),
  );
}

/**
 * A block of up to `SMALL_BYTES` travels in the tree exchange. A larger one goes straight into
 * the buffers of all other ranks, on another host through one of its ranks: 1 or 2 steps more, n bytes
 * for each rank of the host and each other host.
 */
async function collect(
  call: CollectiveCall,
  send: Uint8Array,
  recvBlocks: Uint8Array[],
  meta: Uint8Array,
  verify?: (metas: number[][]) => void,
): Promise<void> {
  const { rank, size } = call.group;
  const [mine] = apart([send], recvBlocks, [send, recvBlocks[rank]]);
  const incoming = recvBlocks.map((block, from) =>
    from === rank || isSmall(block) ? null : receiveSpread(call, from, block)
  );
  const answer = await call.exchange(
    pack([meta, isSmall(mine) ? mine : EMPTY]),
    (contributions) => {
      const blocks = contributions.map((one) => unpack(one, 2));
      verify?.(blocks.map(([counts]) => decodeCounts(counts)));
      return pack(blocks.map(([, block]) => block));
    },
  );
  const small = unpack(answer, size);
  recvBlocks.forEach((block, from) => {
    if (from === rank) block.set(mine);
    else if (isSmall(block)) block.set(small[from]);
  });
  if (!isSmall(mine)) await sendSpread(call, mine);
  await Promise.all(incoming);
}
