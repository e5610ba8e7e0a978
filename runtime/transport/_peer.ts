/**
 * What a transport knows of another rank.
 *
 * @module
 */

import { platform, type Timer } from "../base/platform.ts";
import type { PeerLink } from "./peer_link.ts";
import type { Silence } from "./_silence.ts";

/** Where another rank stands. */
export type PeerState =
  | { readonly name: "present" }
  /** It has said goodbye: nothing more comes from it. */
  | { readonly name: "left" }
  /** It is gone although it was needed; `left` if its goodbye had come before. */
  | { readonly name: "lost"; readonly cause: Error; readonly left: boolean };

/** What is known of one other rank. */
export interface Peer {
  readonly connection: PeerLink;
  state: PeerState;
  /** Once it is lost: resolves when what cannot do without it has failed, before which no sender to it does. */
  noted?: void | Promise<void>;
  /** How many wait for it. */
  awaited: number;
  /** Ends one of these waits; one object for all, since there is one for each frame. */
  readonly wait: Disposable;
  readonly silence: Silence;
  /** Whether it has acknowledged this rank's goodbye, and so has read all that was sent to it. */
  acknowledged: boolean;
  /** Resolves when it has acknowledged, has fallen silent, or its connection has ended. */
  readonly settled: PromiseWithResolvers<"acknowledged" | "silent" | "ended">;
  /** Resolves when the launcher says how it has ended. */
  readonly named: PromiseWithResolvers<RootCause>;
}

/** A rank whose end was not in order, as the launcher sees it. */
export interface RootCause {
  readonly rank: number;
  readonly reason: string;
}

/** The wait for a rank that there is no connection to. */
export const NO_WAIT: Disposable = { [Symbol.dispose]() {} };

/** A peer that was lost before it had read everything. */
export interface MissedFarewell {
  readonly rank: number;
  readonly cause: Error | undefined;
  /** Whether it is still there, but gives no sign of life. */
  readonly silent: boolean;
}

/** Whether a peer has said goodbye, however it ended after that. */
export function hasLeft({ state }: Peer): boolean {
  return state.name === "left" || (state.name === "lost" && state.left);
}

/** What a promise resolves with, or undefined if it rejects or takes longer than this. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: Timer;
  const expiry = new Promise<undefined>((resolve) => timer = platform.setTimeout(resolve, ms));
  try {
    return await Promise.race([promise.catch(() => undefined), expiry]);
  } finally {
    platform.clearTimeout(timer!);
  }
}

/**
 * Resolves when nothing waits to leave for those that are present, or it takes longer than this.
 *
 * @param uplink what frames wait behind before they come to a connection
 */
export async function emptied(
  ms: number,
  peers: readonly (Peer | undefined)[],
  uplink: { drained(): Promise<void> } | null,
): Promise<void> {
  const end = platform.now() + ms;
  const isBusy = (peer?: Peer) => peer?.state.name === "present" && peer.connection.busy;
  if (uplink !== null) await within(ms, uplink.drained());
  while (peers.some(isBusy) && platform.now() < end) {
    await new Promise<void>((resolve) => platform.setTimeout(resolve, 1));
  }
}

/** What is missed of a peer that is lost to one that takes leave. @param outcome of the wait for it; see `settled` */
export function missedFarewell(
  { connection: { peer: rank }, state }: Peer,
  outcome: string | undefined,
): MissedFarewell {
  const cause = state.name === "lost" ? state.cause : undefined;
  return { rank, cause, silent: outcome === "silent" };
}

/** The same of a peer that was lost before the goodbye to it could be said; null if it is not lost. */
export async function lossOf(peer: Peer): Promise<MissedFarewell | null> {
  if (peer.state.name !== "lost") return null;
  return missedFarewell(peer, await within(0, peer.settled.promise));
}
