/**
 * A look at the network between two ranks of a call: what an empty message takes, and what bytes add.
 *
 * @module
 */

import { EMPTY } from "./blocks.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { platform } from "../base/platform.ts";

/** A network on which every host has one link. */
export interface NetworkCost {
  /** α: seconds that an empty message takes one way. */
  readonly latencySeconds: number;
  /** 1/β: bandwidth of a host's link, each way. */
  readonly bytesPerSecond: number;
}

/** From here on frames of a call are the probe's: those of its segments stay below. */
const FIRST_FRAME = 0xffff_ff00;
/** How many empty messages go there and back; the fastest counts. */
const EMPTY_MESSAGES = 2;
/** Messages by which the bandwidth is told, in bytes; the second only where the first was quick. */
const SHORT_BYTES = 64 << 10, LONG_BYTES = 1 << 20;
const QUICK_SECONDS = 0.02;
/** A payload that is nothing but the end of the probe. */
const LAST = Uint8Array.of(0);

/**
 * Measures the way to a member, which calls {@linkcode answerProbe} in the same call: three or four round
 * trips and at most 1.1 MB.
 */
export async function probeNetwork(call: CollectiveCall, peer: number): Promise<NetworkCost> {
  let frame = FIRST_FRAME;
  const roundTrip = async (payload: Uint8Array) => {
    const start = platform.now(), answer = call.receive(peer, frame + 1, EMPTY);
    await Promise.all([call.send(peer, frame, payload), answer]);
    frame += 2;
    return (platform.now() - start) / 1e3;
  };
  let empty = Infinity;
  for (let i = 0; i < EMPTY_MESSAGES; i++) empty = Math.min(empty, await roundTrip(EMPTY));
  let bytes = SHORT_BYTES, seconds = await roundTrip(new Uint8Array(bytes));
  if (seconds - empty < QUICK_SECONDS) {
    bytes = LONG_BYTES;
    seconds = await roundTrip(new Uint8Array(bytes));
  }
  await call.send(peer, frame, LAST);
  // No noise makes a wonder of a network: at least an eighth of the time is the bytes'.
  const carrying = Math.max(seconds - empty, seconds / 8);
  return { latencySeconds: empty / 2, bytesPerSecond: bytes / carrying };
}

/** Answers a member's {@linkcode probeNetwork}. */
export async function answerProbe(call: CollectiveCall, peer: number): Promise<void> {
  for (let frame = FIRST_FRAME;; frame += 2) {
    const payload = await call.receiveAny(peer, frame);
    if (payload.length === LAST.length) return;
    await call.send(peer, frame + 1, EMPTY);
  }
}
