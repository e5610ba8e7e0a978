import type { Context } from "../engine/context.ts";
import { bytesOf, datatypeOf, describeCount, type TypedArray } from "../base/datatypes.ts";
import { checkRank } from "../engine/arguments.ts";
import {
  apart,
  blocksToFill,
  decodeCounts,
  EMPTY,
  encodeCounts,
  type Layout,
  receiveBlock,
  sendBlock,
  uniform,
} from "../algorithms/blocks.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { pack, unpack } from "../base/pack.ts";
import { isSmall } from "../engine/tuning.ts";

/** Collects blocks of one length at `root`, in the order of ranks. */
export async function gather(
  context: Context,
  send: TypedArray,
  recv: TypedArray | null,
  root = 0,
): Promise<void> {
  const type = datatypeOf(send, "send");
  checkRank(root, context.size, "root");
  const recvBlocks = context.rank === root
    ? blocksToReceive("gather", context.size, recv, send, uniform(send.length, context.size))
    : null;
  const signature = { name: "gather", type: type.code, count: send.length, root } as const;
  await context.collective(
    signature,
    (call) => collect(call, bytesOf(send), recvBlocks, root, EMPTY),
  );
}

/** Collects blocks of different lengths at `root`, which says how many elements come from whom. */
export async function gatherv(
  context: Context,
  send: TypedArray,
  recv: TypedArray | null,
  layout: Layout | null,
  root = 0,
): Promise<void> {
  const type = datatypeOf(send, "send");
  checkRank(root, context.size, "root");
  const isRoot = context.rank === root;
  if (isRoot && layout === null) throw new TypeError("cannot gatherv: the root must pass counts");
  const recvBlocks = isRoot ? blocksToReceive("gatherv", context.size, recv, send, layout!) : null;
  const counts = [send.length, ...isRoot ? layout!.counts : []];
  const signature = { name: "gatherv", type: type.code, root } as const;
  await context.collective(
    signature,
    (call) =>
      collect(call, bytesOf(send), recvBlocks, root, encodeCounts(counts), (metas) => {
        const [, ...expected] = metas[root];
        metas.forEach(([sent], from) => {
          if (sent === expected[from]) return;
          context.mismatch(
            `cannot gatherv: ${context.name(from)} passed ${describeCount(sent, type)}, ` +
              `${context.name(root)} expected ${expected[from]} from it`,
          );
        });
      }),
  );
}

/**
 * A block of up to `SMALL_BYTES` travels in the tree exchange. A larger one goes straight into
 * the root's buffer: 1 step more, n bytes from each rank.
 */
async function collect(
  call: CollectiveCall,
  send: Uint8Array,
  recvBlocks: Uint8Array[] | null,
  root: number,
  meta: Uint8Array,
  verify?: (metas: number[][]) => void,
): Promise<void> {
  const { rank, size } = call.group;
  const [mine] = recvBlocks === null ? [send] : apart([send], recvBlocks, [send, recvBlocks[rank]]);
  const incoming = recvBlocks?.map((block, from) =>
    from === rank || isSmall(block) ? null : receiveBlock(call, from, block)
  );
  const answer = await call.exchange(
    pack([meta, isSmall(mine) ? mine : EMPTY]),
    (contributions) => {
      const blocks = contributions.map((one) => unpack(one, 2));
      verify?.(blocks.map(([counts]) => decodeCounts(counts)));
      const all = pack(blocks.map(([, block]) => block));
      return contributions.map((_, to) => to === root ? all : EMPTY);
    },
  );
  if (recvBlocks !== null) {
    const small = unpack(answer, size);
    recvBlocks.forEach((block, from) => {
      if (from === rank) block.set(mine);
      else if (isSmall(block)) block.set(small[from]);
    });
    await Promise.all(incoming!);
  } else if (!isSmall(mine)) {
    await sendBlock(call, root, mine);
  }
}

function blocksToReceive(
  name: string,
  size: number,
  recv: TypedArray | null,
  send: TypedArray,
  layout: Layout,
): Uint8Array[] {
  if (recv === null || datatypeOf(recv, "recv") !== datatypeOf(send)) {
    throw new TypeError(
      `cannot ${name}: the root's recv must hold ${datatypeOf(send).name} elements as send does, ` +
        `found ${recv === null ? "null" : datatypeOf(recv).name}`,
    );
  }
  return blocksToFill(`cannot ${name}: recv`, recv, layout, size);
}
