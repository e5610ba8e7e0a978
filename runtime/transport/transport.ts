/**
 * The wire as the communicator sees it: ordered, reliable frames between the ranks of one job.
 *
 * It knows ranks and bytes. It does not know messages, tags, collectives or types: a frame's header
 * is opaque here and belongs to the communicator.
 *
 * @module
 */

/** Size in bytes of every frame's header; its content belongs to the communicator. */
export const HEADER_BYTES = 64;

/** Most bytes of a frame's payload: its length travels as u32. */
export const LARGEST_PAYLOAD: number = 2 ** 32 - 1;

/** What receives the frames of a {@linkcode Transport}. Calls are made from the reading loops. */
export interface FrameSink {
  /**
   * A header has arrived and `length` bytes follow. Returns where they go: a view of exactly
   * `length` bytes, which the transport fills and then hands to {@linkcode FrameSink.end}. Throwing
   * breaks the connection to that peer: the stream can no longer be trusted.
   *
   * `header` is valid during the call only.
   */
  begin(peer: number, header: DataView, length: number): Uint8Array;
  /** The payload of the frame last begun by this peer is complete. */
  end(peer: number, payload: Uint8Array): void;
  /**
   * No further frame will come from `peer`. `cause` is undefined after an orderly goodbye, otherwise
   * what is known of its end. Called once a peer, and once more, with a cause, if a goodbye turns out
   * to have been the end of a rank that failed. Senders to it learn of that when this has resolved.
   */
  lost(peer: number, cause: Error | undefined): void | Promise<void>;
  /** The operations in which this rank waits for others, in words. @default {none} */
  pending?(): readonly string[];
}

/** Why a rank is about to end. */
export interface FailureReport {
  /** In words. */
  message: string;
  /** What it was doing, such as "allreduce". */
  operation?: string;
  /** The caller's training step, if the program told the communicator one. */
  step?: number | null;
  /** The rank that it lost, if that is the reason. */
  lost?: number;
}

/** What a rank hears from whoever looks after the job. */
export interface JobEvents {
  /** A rank has ended although it was needed. */
  lost(rank: number, reason: string): void;
  /** The job is at an end: this process exits with the code. */
  abort(code: number, message: string): void;
  /** Whoever looks after the job is gone. */
  gone(): void;
  /** The operations in which this rank waits for others, in words. */
  pending(): readonly string[];
}

/** What a transport needs of whoever looks after the job. */
export interface JobControl {
  /** Whether all ranks hear from it who was lost; not where it is a rank, without a launcher of ours. @default {true} */
  readonly tellsLosses?: boolean;
  /** Starts to listen; called once, and does not keep the process alive. */
  start(events: JobEvents): void;
  /** Says what went wrong with this rank. */
  report(report: {
    readonly message: string;
    readonly operation: string | null;
    readonly step: number | null;
    readonly lost: number | null;
  }): Promise<void>;
  /** Asks for the end of the job. */
  abort(code: number, message: string): Promise<void>;
  /** Says that this rank has taken its leave of all others; resolves when that is known. */
  finalize(): Promise<void>;
}

/**
 * What the loss of a rank is to the others: the end of the job, or an error of the operations that need
 * it.
 */
export type OnFailure = "abort" | "return";

/** How processes that have come to a running job are let in. */
export interface Door {
  /** Those that wait, by the rank of the job that each would be: what others need to reach it, as text. */
  readonly waiting: ReadonlyMap<number, string>;
  /**
   * Connects this rank to some of them.
   *
   * @param newcomers as in {@linkcode Door.waiting}, the same at all ranks that do so
   * @param members those ranks
   * @returns the newcomers that it has reached; they are ranks of the transport
   */
  reach(newcomers: ReadonlyMap<number, string>, members: readonly number[]): Promise<number[]>;
  /** Tells a newcomer which communicator it is in; if it is no member, that it is in none. */
  welcome(newcomer: number, membership: Membership): void;
}

/** The communicator that a newcomer has been let into. */
export interface Membership {
  /** Its number. */
  readonly context: number;
  /** Its members, by their ranks in the job. One to which there is no connection is lost. */
  readonly members: readonly number[];
}

/** Ordered, reliable frames between the ranks of one job. */
export interface Transport {
  /** This process's rank, 0 ≤ rank < size. */
  readonly rank: number;
  /** Number of ranks that the job has had so far. */
  readonly size: number;
  /** Host name of each rank, for messages and for choosing an algorithm. */
  readonly hosts: readonly string[];
  /** Of each rank, whether ranks of other hosts cannot dial it. @default {they can} */
  readonly dialsOut?: readonly boolean[];
  /** Largest time in ms without a sign of life from a peer that somebody waits for. */
  readonly timeoutMs: number;
  /**
   * Whether every frame has to come this way, even between ranks that could read each other's memory.
   *
   * @default false
   */
  readonly bypassesSharedMemory?: boolean;
  /** What the loss of a rank is to the others. @default {"abort"} */
  readonly onFailure?: OnFailure;
  /**
   * Resolves when what has been sent is on its way, or cannot be soon; null where a launcher tells all who
   * was lost, and it does not matter. @default {nothing is waited for}
   */
  wordsSent?(): Promise<void> | null;
  /** Installs the receiver; called once, before any frame is read. */
  start(sink: FrameSink): void;
  /**
   * Sends one frame. Frames to one peer arrive in the order of the calls. Resolves when header and
   * payload have been copied or handed to the kernel and may be reused; rejects when the peer is
   * lost, after {@linkcode FrameSink.lost} has said so.
   *
   * @param header {@linkcode HEADER_BYTES} bytes
   * @param payload at most 2³² − 1 bytes
   */
  send(peer: number, header: Uint8Array, payload?: Uint8Array): Promise<void>;
  /**
   * Tells the transport that somebody waits for `peer`. While somebody waits and nothing arrives, the
   * transport asks the peer for a sign of life, and reports it as lost after
   * {@linkcode Transport.timeoutMs}.
   *
   * @returns to be disposed of, once, when the wait is over
   */
  expecting(peer: number): Disposable;
  /** Of a process that has come to a running job: the communicator that it is in. @default {that of all ranks} */
  readonly membership?: Membership;
  /** With `return`: where processes come that want to belong to the job. @default {none do} */
  readonly door?: Door;
  /**
   * With `return`: cuts the way to a rank that others have lost, once `told` has resolved or a moment has
   * passed.
   */
  giveUp?(peer: number, cause: Error, told: Promise<void>): void;
  /** With `return`: the others have given this rank up, and its process ends, unless it is leaving. */
  expelled?(reason: string): void;
  /** Reports a failure of this rank to whoever started the job, before it ends. Best effort. */
  report(failure: FailureReport): Promise<void>;
  /** Ends the whole job, on every rank, with this exit code (MPI_Abort). */
  abort(code: number, message: string): Promise<never>;
  /** Says goodbye, waits until every peer has read everything sent to it, and closes. */
  close(): Promise<void>;
  /** Bytes moved since the start, headers included. */
  readonly traffic: Traffic;
  /**
   * Those of them that went to and came from one peer.
   *
   * @default {none}
   */
  trafficWith?(peer: number): Traffic;
  /**
   * What carries the frames to a peer.
   *
   * @default {unknown}
   */
  carrierTo?(peer: number): Carrier;
  /**
   * Seconds in which somebody waited for a peer that gave no sign of life although asked for one; silences shorter
   * than {@linkcode SHORTEST_SILENCE_MS} do not count.
   *
   * @default {none}
   */
  silenceOf?(peer: number): number;
}

/** A silence that counts, in ms: what is shorter can be a long computation or a busy machine. */
export const SHORTEST_SILENCE_MS = 1500;

/** Bytes moved over a wire, headers included. */
export interface Traffic {
  /** By this rank. */
  readonly sent: number;
  /** By this rank. */
  readonly received: number;
}

/** What carries frames from one rank to another: a Unix socket, TCP, TCP under TLS, or an MPI library. */
export type Carrier = "unix" | "tcp" | "tls" | "mpi";

/** The network as one rank sees it. */
export interface Network {
  /** By rank: the name of its host. */
  readonly hosts: readonly string[];
  /** By rank: its number in the job, by which errors and the launcher name it. */
  readonly jobRanks: readonly number[];
  /**
   * By rank: what carries frames to it; null where the transport does not say, and for this rank. Ranks of
   * one host may have memory in common beside it.
   */
  readonly carriers: readonly (Carrier | null)[];
  /** Bytes moved to and from ranks of other hosts, headers included, in whatever communicator. */
  readonly betweenHosts: Traffic;
  /** By rank: whether ranks of other hosts cannot dial it, as behind a router that translates addresses. */
  readonly dialsOut: readonly boolean[];
  /**
   * By rank: bytes moved to and from it through the relay on the coordinator's host, headers included; null
   * where there is a way without.
   */
  readonly relayed: readonly (Traffic | null)[];
  /**
   * By rank: seconds in which this one waited for it and nothing came from it, not even the sign of life that it was
   * asked for; silences of less than 1.5 s do not count. A rank that computes without a pause is silent too.
   */
  readonly silences: readonly number[];
}

/** The network of some ranks. */
export function networkOf(transport: Transport, members: readonly number[]): Network {
  const { hosts, rank } = transport;
  const dialsOut = (rank: number) => transport.dialsOut?.[rank] ?? false;
  let sent = 0, received = 0;
  for (const [peer, host] of hosts.entries()) {
    const each = host === hosts[rank] ? undefined : transport.trafficWith?.(peer);
    sent += each?.sent ?? 0;
    received += each?.received ?? 0;
  }
  return {
    hosts: members.map((member) => hosts[member]),
    jobRanks: [...members],
    carriers: members.map((peer) => peer === rank ? null : transport.carrierTo?.(peer) ?? null),
    betweenHosts: { sent, received },
    dialsOut: members.map((member) => dialsOut(member)),
    silences: members.map((peer) => transport.silenceOf?.(peer) ?? 0),
    relayed: members.map((peer) =>
      hosts[peer] !== hosts[rank] && dialsOut(peer) && dialsOut(rank)
        ? transport.trafficWith?.(peer) ?? null
        : null
    ),
  };
}
