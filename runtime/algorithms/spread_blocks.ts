/**
 * How large blocks get from one rank to all: straight to those on its host, and once to every other host,
 * where one rank passes them on. Which one does is a matter of the sender's place on its host, so that
 * the blocks of a host come in by several ranks.
 *
 * @module
 */

import type { CollectiveCall } from "../engine/call.ts";
import type { CollectiveGroup } from "../engine/group.ts";
import { SEGMENT_BYTES } from "../engine/tuning.ts";
import { others } from "./blocks.ts";

/** The rank by which each host gets the blocks of a rank; on its own host that rank. */
function delegatesOf({ hosts }: CollectiveGroup, from: number): number[] {
  const host = hosts.findIndex((ranks) => ranks.includes(from)), place = hosts[host].indexOf(from);
  return hosts.map((ranks, h) => h === host ? from : ranks[place % ranks.length]);
}

function neighbours({ rank, hosts }: CollectiveGroup): number[] {
  return hosts.find((ranks) => ranks.includes(rank))!.filter((other) => other !== rank);
}

/** Calls `act` with each segment of a block of a rank and the number of its frames. */
function forSegments(
  { size }: CollectiveGroup,
  owner: number,
  block: Uint8Array,
  act: (number: number, segment: Uint8Array) => void,
): void {
  for (let start = 0, i = 0; start < block.length; start += SEGMENT_BYTES, i++) {
    act(i * size + owner, block.subarray(start, start + SEGMENT_BYTES));
  }
}

/**
 * Posts the receives of another rank's block, and passes on what is to be passed on; to be called before
 * {@linkcode CollectiveCall.agree}.
 */
export function receiveSpread(
  call: CollectiveCall,
  owner: number,
  into: Uint8Array,
): Promise<unknown> {
  const { rank, hosts } = call.group, host = hosts.findIndex((ranks) => ranks.includes(rank));
  const delegate = delegatesOf(call.group, owner)[host];
  const source = delegate === rank ? owner : delegate;
  const further = delegate === rank ? neighbours(call.group) : [];
  const arriving: Promise<unknown>[] = [];
  forSegments(call.group, owner, into, (number, segment) => {
    const arrived = call.receive(source, number, segment);
    arriving.push(
      further.length === 0
        ? arrived
        : arrived.then(() => Promise.all(further.map((to) => call.send(to, number, segment)))),
    );
  });
  const block = Promise.all(arriving);
  block.catch(() => {}); // whoever posted it may already have failed elsewhere
  return block;
}

/** Sends this rank's block to all that get it from this rank. */
export async function sendSpread(call: CollectiveCall, block: Uint8Array): Promise<void> {
  const { group } = call, near = neighbours(group), delegates = delegatesOf(group, group.rank);
  const to = others(group).filter((rank) => near.includes(rank) || delegates.includes(rank));
  await Promise.all(to.map(async (rank) => {
    const sending: [number, Uint8Array][] = [];
    forSegments(group, group.rank, block, (number, segment) => sending.push([number, segment]));
    for (const [number, segment] of sending) await call.send(rank, number, segment);
  }));
}
