import type { Context } from "../engine/context.ts";
import { bytesOf, datatypeOf, type TypedArray } from "../base/datatypes.ts";
import type { Hosts } from "../base/hosts.ts";
import { checkRank } from "../engine/arguments.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { segments } from "../algorithms/partition.ts";
import { SEGMENT_BYTES, SMALL_BYTES } from "../engine/tuning.ts";

/** Copies `buffer` from `root` to every member, in place. */
export async function bcast(context: Context, buffer: TypedArray, root = 0): Promise<void> {
  const type = datatypeOf(buffer);
  checkRank(root, context.size, "root");
  const signature = { name: "bcast", type: type.code, count: buffer.length, root } as const;
  await context.collective(signature, async (call) => {
    const bytes = bytesOf(buffer);
    if (bytes.length > SMALL_BYTES) return await chain(call, bytes, root);
    const mine = context.rank === root ? bytes : bytes.subarray(0, 0);
    const answer = await call.exchange(mine, (contributions) => contributions[root].slice());
    if (context.rank !== root) bytes.set(answer);
  });
}

/**
 * A pipelined chain: root → root+1 → … → root+N−1, but host after host, segment after segment, each
 * passed on while the next one comes in. Every link carries each byte once, and every host gets it once:
 * N−1+S steps for S segments, n bytes a rank.
 */
async function chain(call: CollectiveCall, bytes: Uint8Array, root: number): Promise<void> {
  const { rank, size, hosts } = call.group;
  const order = chainOf(root, size, hosts), position = order.indexOf(rank);
  const previous = order[position - 1], next = order[position + 1];
  const cuts = segments({ start: 0, end: bytes.length }, SEGMENT_BYTES)
    .map(({ start, end }) => bytes.subarray(start, end));
  const incoming = position === 0
    ? cuts.map((segment) => Promise.resolve(segment))
    : cuts.map((segment, s) => call.receive(previous, s, segment));
  await call.agree();
  for (let s = 0; s < cuts.length; s++) {
    await incoming[s];
    if (position < size - 1) await call.send(next, s, cuts[s]);
  }
}

/** All ranks from the root on, those of a host one behind the other. */
function chainOf(root: number, size: number, hosts: Hosts): number[] {
  const all = Array.from({ length: size }, (_, k) => (root + k) % size);
  const hostOf = (rank: number) => hosts.find((ranks) => ranks.includes(rank))!;
  const order = [...new Set(all.map(hostOf))];
  return order.flatMap((ranks) => all.filter((rank) => ranks.includes(rank)));
}
