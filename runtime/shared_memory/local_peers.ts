/**
 * Which ranks of a job have memory in common, and what they do with it.
 *
 * @module
 */

import { yieldToEventLoop } from "../base/request.ts";
import { type JobRanks, SharedArena, STAGING_BUFFERS } from "./arena.ts";
import { type Direction, Mailbox, RemoteMailbox } from "./mailbox.ts";
import { platform } from "../base/platform.ts";

/** Bytes by which a rank's memory is recognised. */
const TOKEN_BYTES = 32;
/** Where in an introduction the token is, behind the process id and the descriptor, both float64. */
const TOKEN_OFFSET = 16;
/**
 * How long the last call that used the staging buffers may take to end everywhere before another does
 * without, in ms.
 */
const PATIENCE_MS = 100;

/** What becomes of frames in memory. */
export interface LocalFrames {
  /** Takes in a frame from a rank of the job; `payload` is valid during the call only. */
  deliver(from: number, header: DataView, payload: Uint8Array): void;
  /** Calls a rank of the job, which is in its event loop, to its mailbox. */
  wake(rank: number): void;
}

/** Gives every rank of the job what all have given, in the order of ranks. */
export type ExchangeAll = (mine: Uint8Array) => Promise<readonly Uint8Array[]>;

/** Where a call that uses the staging buffers has come to an end everywhere. */
export interface CallEnd {
  /** The rank of the job whose counter says so … */
  readonly counter: number;
  /** … and what it comes to. */
  readonly count: number;
}

/** This rank's staging buffers, lent to one call. */
export interface StagingReservation {
  /** The first staging buffer to be used, the same on all members. */
  readonly first: number;
  /** Gives them back, after a call that filled `count` of them one after the other; null: none did. */
  release(used: { readonly count: number; readonly end: CallEnd } | null): void;
}

/** The ranks of a job, as far as they share a host and may look into each other's memory. */
export class LocalPeers {
  readonly #job: JobRanks;
  readonly #frames: LocalFrames;
  #discovery: Promise<void> | null = null;
  #discovered = false;
  #enabled = true;
  #arena: SharedArena | null = null;
  #mailbox: Mailbox | null = null;
  /** The mailboxes of the others, null where frames cannot be put. */
  #mailboxes: readonly (RemoteMailbox | null)[] = [];
  /** #access[a][b] is 1 if rank a has mapped the memory of rank b; no rows before the discovery. */
  #access: readonly Uint8Array[] = [];

  #reserved = false;
  /** This rank's last call that used the staging buffers, and the number of its communicator. */
  #last: { readonly id: number; readonly end: CallEnd } | null = null;
  /** By number of the communicator, the staging buffer that its next call begins with. */
  readonly #next = new Map<number, number>();

  /** Nobody's memory is shared before {@linkcode LocalPeers.discover}, and nothing taken. */
  constructor(job: JobRanks, frames: LocalFrames) {
    this.#job = job;
    this.#frames = frames;
  }

  /** Those of a communicator whose ranks share none. */
  static none(): LocalPeers {
    const job = { rank: 0, size: 1, hosts: [""], bypassesSharedMemory: true };
    const peers = new LocalPeers(job, { deliver() {}, wake() {} });
    peers.#discovered = true;
    peers.#enabled = false;
    return peers;
  }

  /** Whether it is known who shares memory. */
  get discovered(): boolean {
    return this.#discovered;
  }

  /**
   * Finds out who can map whose memory, once for a job: each rank says where its segment is and
   * what random bytes are in it, and looks for those of all others. Two exchanges, those of the
   * first caller; whoever calls meanwhile waits for them.
   *
   * @throws what `exchange` does, at its caller's alone; then no memory is shared
   */
  async discover(exchange: ExchangeAll): Promise<void> {
    if (this.#discovery !== null) return await this.#discovery;
    const discovery = this.#discover(exchange);
    this.#discovery = discovery.catch(() => {}).then(() => {
      this.#discovered = true;
    });
    await discovery;
    await this.#discovery;
  }

  async #discover(exchange: ExchangeAll): Promise<void> {
    const arena = SharedArena.open(this.#job);
    try {
      await this.#meet(arena, exchange);
    } finally {
      // All have mapped this rank's memory by now, or never will.
      arena?.memory.close(arena.descriptor);
    }
  }

  /** Maps the memory of those of this host whose memory it can find. @param arena null: no memory is shared */
  async #meet(arena: SharedArena | null, exchange: ExchangeAll): Promise<void> {
    const { rank, size, hosts } = this.#job;
    const token = platform.getRandomValues(new Uint8Array(TOKEN_BYTES));
    arena?.token(rank, TOKEN_BYTES).set(token);
    const mailbox = arena && new Mailbox(arena, rank, size, this.#frames.deliver);
    this.#mailbox = mailbox; // others may know before this rank does
    const introductions = await exchange(introduce(arena, token));
    const mailboxes = introductions.map((introduction, peer) => {
      const [pid, descriptor] = new Float64Array(introduction.slice(0, TOKEN_OFFSET).buffer);
      // Ranks of one process would wait for themselves.
      if (arena === null || pid === 0 || pid === Deno.pid || hosts[peer] !== hosts[rank]) {
        return null;
      }
      const token = introduction.subarray(TOKEN_OFFSET);
      const found = arena.attach(peer, pid, descriptor) &&
        arena.token(peer, TOKEN_BYTES).every((byte, i) => byte === token[i]);
      return found ? new RemoteMailbox(arena, peer) : null;
    });
    const mapped = Uint8Array.from(mailboxes, (found, peer) => found || peer === rank ? 1 : 0);
    const access = (await exchange(mapped)).map((row) => row.slice());
    if (arena === null) return;
    this.#arena = arena;
    this.#mailboxes = mailboxes;
    this.#access = access;
  }

  /** Whether all of some ranks of the job, this one among them, have each other's memory. */
  sharesMemory(ranks: readonly number[]): boolean {
    const access = this.#access;
    return access.length > 0 && ranks.every((a) => ranks.every((b) => access[a][b] === 1));
  }

  /** Whether this rank shares memory with nobody, as before the discovery. */
  get isEmpty(): boolean {
    return this.#access.length === 0;
  }

  /** Whether frames for a rank of the job can go to its mailbox, and come back. */
  isLocal(rank: number): boolean {
    const me = this.#job.rank, access = this.#access;
    return access.length > 0 && rank !== me && access[me][rank] === 1 && access[rank][me] === 1;
  }

  /** The memory that is shared. @throws Error if none is */
  get arena(): SharedArena {
    if (this.#arena === null) throw new Error("this rank shares no memory");
    return this.#arena;
  }

  /**
   * Puts a frame of a tree exchange into its slot of the mailbox of a rank of the job. The sender knows
   * that the slot is empty.
   *
   * @returns false if it has to go over the wire
   */
  trySend(to: number, direction: Direction, header: Uint8Array, payload: Uint8Array): boolean {
    if (!this.#enabled || !this.isLocal(to)) return false;
    const isAway = this.#mailboxes[to]!.post(this.#job.rank, direction, header, payload);
    if (isAway === null) return false;
    if (isAway) this.#frames.wake(to);
    return true;
  }

  /** Looks into this rank's mailbox for a moment, or until no frame is `missing`. */
  poll(missing: () => number): void {
    this.#mailbox?.poll(missing);
  }

  /** Delivers what lies in this rank's mailbox. */
  emptyMailbox(): void {
    this.#mailbox?.empty();
  }

  /**
   * Reserves this rank's staging buffers for one call. Between two calls of one communicator nobody
   * need wait: the second begins with other buffers than those that the first may still be read from.
   * Otherwise it waits for a while, asleep if the call may block.
   *
   * @param id number of the communicator
   * @returns null if another call has them, or somebody of another communicator still reads them
   */
  async reserve(id: number, call: { readonly mayBlock: boolean }): Promise<
    StagingReservation | null
  > {
    if (this.#reserved || !this.#enabled) return null;
    this.#reserved = true;
    if (!await this.#waitForLast(id, call)) {
      this.#reserved = false;
      return null;
    }
    const first = this.#next.get(id) ?? 0;
    return {
      first,
      release: (used) => {
        this.#reserved = false;
        if (used === null) return;
        this.#last = { id, end: used.end };
        this.#next.set(id, (first + used.count) % STAGING_BUFFERS);
      },
    };
  }

  async #waitForLast(id: number, call: { readonly mayBlock: boolean }): Promise<boolean> {
    if (this.#last === null || this.#last.id === id) return true;
    const { counter, count } = this.#last.end, deadline = platform.now() + PATIENCE_MS;
    while (!this.arena.reached(counter, count)) {
      if (call.mayBlock && this.arena.sleepUntil(counter, count)) return true;
      await yieldToEventLoop();
      if (platform.now() >= deadline) return false;
    }
    return true;
  }

  /** Forgets a communicator. */
  forget(id: number): void {
    this.#next.delete(id);
  }

  /** Whether this rank still uses memory that it shares. */
  get enabled(): boolean {
    return this.#enabled;
  }

  /**
   * Stops using memory, for the rest of the job: after a failed call, a slot may not have been emptied,
   * or a rank not arrive.
   */
  disable(): void {
    this.#enabled = false;
  }
}

/** Where a rank's segment is, if it has one, and how to recognise it. */
function introduce(arena: SharedArena | null, token: Uint8Array): Uint8Array {
  const introduction = new Uint8Array(TOKEN_OFFSET + TOKEN_BYTES);
  if (arena !== null) {
    introduction.set(new Uint8Array(Float64Array.of(Deno.pid, arena.descriptor).buffer));
  }
  introduction.set(token, TOKEN_OFFSET);
  return introduction;
}
