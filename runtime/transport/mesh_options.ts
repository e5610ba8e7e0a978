/**
 * What a transport over a link to every other rank is made of.
 *
 * @module
 */

import type { LinkShape } from "./access_link.ts";
import type { WayTo } from "./peer_link.ts";
import type { JobControl, Membership, OnFailure } from "./transport.ts";

/** What a `MeshTransport` is made of. */
export interface MeshOptions {
  readonly rank: number;
  readonly size: number;
  /** Host name of each rank. */
  readonly hosts: readonly string[];
  /** Of each rank, whether ranks of other hosts cannot dial it. @default {they can} */
  readonly dialsOut?: readonly boolean[];
  /**
   * Proven connections to each other rank, owned by the transport, or what opens another link to it;
   * undefined for this rank. Both ends of a pair have as many.
   */
  readonly connections: readonly (WayTo | undefined)[];
  /**
   * The way to whoever looks after the job; null if there is none. It outlives the transport, because a
   * rank that fails after its goodbye has something to say.
   */
  readonly control: JobControl | null;
  readonly timeoutMs: number;
  /** How long a rank may be silent from which nothing has come yet: it may not have joined. @default {as long} */
  readonly joinMs?: number;
  /** The access link that this rank is to be behind; null or absent: none. */
  readonly link?: LinkShape | null;
  /** Whether every frame has to go over a connection. @default {false} */
  readonly wireOnly?: boolean;
  /** What the loss of a rank is to the others. @default {"abort"} */
  readonly onFailure?: OnFailure;
  /** As in `Transport`. */
  readonly membership?: Membership;
  /** Called when the control is lost before this transport is closed. @default {nothing} */
  readonly onControlLost?: () => void;
  /** Called whenever somebody begins to wait for another rank. @default {nothing} */
  readonly onExpecting?: () => void;
}
