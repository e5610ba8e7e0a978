/**
 * What messages and collective calls need of the communicator they belong to. With these in
 * between, none of them knows the communicator itself, which knows them all.
 *
 * @module
 */

import type { PeerLostError } from "../base/errors.ts";
import type { Stats } from "../base/stats.ts";
import type { WorkspacePool } from "../reduction/workspace.ts";
import type { LocalPeers } from "../shared_memory/local_peers.ts";
import type { Hosts } from "../base/hosts.ts";
import type { Tree } from "./tree.ts";
import type { LostPeer } from "./lost_peers.ts";

/** The members of a communicator, to whom frames can be sent. Ranks are those among the members. */
export interface Group {
  /** Number that every frame of the communicator carries. */
  readonly id: number;
  /** This process's rank. */
  readonly rank: number;
  readonly size: number;
  /** What has been done on the communicator. */
  readonly stats: Stats;
  /** Why the communicator cannot be used any more, or null. */
  readonly failure: Error | null;
  /** A member in words; says its rank in the job where that is another. */
  name(rank: number): string;
  /** Sends one frame to a member, with the promise of `Transport.send`. */
  send(rank: number, header: Uint8Array, payload?: Uint8Array): Promise<void>;
  /** Tells the transport that a member is waited for, until what it returns is disposed of, once. */
  expecting(rank: number): Disposable;
  /** The end of a member, or undefined while it is there. */
  lossOf(rank: number): LostPeer | undefined;
  /** Members that are gone, and that the program has said it knows of. */
  readonly acknowledged: readonly number[];
  /** The error for an operation that cannot do without a member that is gone. */
  lostError(rank: number, operation: string): PeerLostError;
}

/** A group whose members make calls together. */
export interface CollectiveGroup extends Group {
  /** The job's rank of each member, in the order of the members' ranks. */
  readonly members: readonly number[];
  /** The members on each host, in the order of ranks; hosts in the order of their first member. */
  readonly hosts: Hosts;
  /** The tree of the members that collective calls agree along. */
  readonly tree: Tree;
  /** Collective calls in progress on this rank, on all communicators. */
  readonly activeCalls: number;
  /** Which ranks of the job share memory with this one. */
  readonly localPeers: LocalPeers;
  /** Scratch memory of this rank. */
  readonly workspaces: WorkspacePool;
}
