import type { Context } from "../engine/context.ts";
import { bytesOf, datatypeOf, describeCount, type TypedArray } from "../base/datatypes.ts";
import { checkRank } from "../engine/arguments.ts";
import {
  apart,
  blocksOf,
  decodeCounts,
  EMPTY,
  encodeCounts,
  type Layout,
  others,
  receiveBlock,
  sendBlock,
  uniform,
} from "../algorithms/blocks.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { pack, unpack } from "../base/pack.ts";
import { isSmall } from "../engine/tuning.ts";

/** Gives every member its block of the root's `send`; blocks have one length. */
export async function scatter(
  context: Context,
  send: TypedArray | null,
  recv: TypedArray,
  root = 0,
): Promise<void> {
  const type = datatypeOf(recv, "recv");
  checkRank(root, context.size, "root");
  const blocks = context.rank === root
    ? blocksToSend("scatter", context.size, send, recv, uniform(recv.length, context.size))
    : null;
  const signature = { name: "scatter", type: type.code, count: recv.length, root } as const;
  await context.collective(signature, (call) => deal(call, blocks, bytesOf(recv), root, EMPTY));
}

/** Gives every member its block of the root's `send`; the root says how many elements go to whom. */
export async function scatterv(
  context: Context,
  send: TypedArray | null,
  layout: Layout | null,
  recv: TypedArray,
  root = 0,
): Promise<void> {
  const type = datatypeOf(recv, "recv");
  checkRank(root, context.size, "root");
  const isRoot = context.rank === root;
  if (isRoot && layout === null) throw new TypeError("cannot scatterv: the root must pass counts");
  const blocks = isRoot ? blocksToSend("scatterv", context.size, send, recv, layout!) : null;
  const counts = [recv.length, ...isRoot ? layout!.counts : []];
  const signature = { name: "scatterv", type: type.code, root } as const;
  await context.collective(
    signature,
    (call) =>
      deal(call, blocks, bytesOf(recv), root, encodeCounts(counts), (metas) => {
        const [, ...sent] = metas[root];
        metas.forEach(([expected], to) => {
          if (sent[to] === expected) return;
          context.mismatch(
            `cannot scatterv: ${context.name(root)} passed ${describeCount(sent[to], type)} for ` +
              `${context.name(to)}, which expected ${expected}`,
          );
        });
      }),
  );
}

/**
 * A block of up to `SMALL_BYTES` travels in the tree exchange. A larger one goes straight from the
 * root into its receiver's buffer: 1 step more, n bytes to each rank.
 */
async function deal(
  call: CollectiveCall,
  sendBlocks: Uint8Array[] | null,
  mine: Uint8Array,
  root: number,
  meta: Uint8Array,
  verify?: (metas: number[][]) => void,
): Promise<void> {
  const { rank, size } = call.group;
  const blocks = sendBlocks && apart(sendBlocks, [mine], [sendBlocks[rank], mine]);
  const incoming = blocks === null && !isSmall(mine) ? receiveBlock(call, root, mine) : null;
  const small = Array.from(
    { length: size },
    (_, to) => blocks !== null && to !== rank && isSmall(blocks[to]) ? blocks[to] : EMPTY,
  );
  const answer = await call.exchange(pack([meta, ...small]), (contributions) => {
    const rows = contributions.map((one) => unpack(one, 1 + size));
    verify?.(rows.map(([counts]) => decodeCounts(counts)));
    return rows[root].slice(1);
  });
  if (blocks !== null) {
    mine.set(blocks[rank]);
    await Promise.all(
      others(call.group).filter((to) => !isSmall(blocks[to])).map((to) =>
        sendBlock(call, to, blocks[to])
      ),
    );
  } else if (incoming === null) {
    mine.set(answer);
  } else {
    await incoming;
  }
}

function blocksToSend(
  name: string,
  size: number,
  send: TypedArray | null,
  recv: TypedArray,
  layout: Layout,
): Uint8Array[] {
  if (send === null || datatypeOf(send, "send") !== datatypeOf(recv)) {
    throw new TypeError(
      `cannot ${name}: the root's send must hold ${datatypeOf(recv).name} elements as recv does, ` +
        `found ${send === null ? "null" : datatypeOf(send).name}`,
    );
  }
  return blocksOf(`cannot ${name}: send`, send, layout, size);
}
