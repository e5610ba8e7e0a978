/**
 * Which ranks of a job have memory in common, and what they do with it.
 *
 * @module
 */

import { SharedArena } from "./arena.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { pack, unpack } from "../engine/pack.ts";
import { encodeFrame, MessageKind } from "../engine/header.ts";
import type { Engine } from "../engine/engine.ts";
import { type Direction, Mailbox, RemoteMailbox } from "./mailbox.ts";
import { yieldToEventLoop } from "../base/request.ts";

/** Bytes by which a rank's memory is recognised. */
const TOKEN_BYTES = 32;
/** How long the last call on the board may take to end everywhere before another does without, in ms. */
const PATIENCE_MS = 100;

/** A call on the board. */
interface BoardCall {
  /** Number of the communicator. */
  readonly context: number;
  /** The counter, and what it comes to, when the call is done everywhere. */
  readonly counter: number;
  readonly count: number;
}

/** The ranks of a job, as far as they share a host and may look into each other's memory. */
export class LocalPeers {
  /** What they have in common. */
  readonly arena: SharedArena;
  readonly #engine: Engine;
  readonly #mailbox: Mailbox;
  /** The mailboxes of the others, null where frames cannot be put. */
  readonly #mailboxes: readonly (RemoteMailbox | null)[];
  /** #reach[a][b] is 1 if rank a has mapped the memory of rank b. */
  readonly #reach: readonly Uint8Array[];
  #trusted = true;
  #reserved = false;
  /** This rank's last call on the board. */
  #last: BoardCall | null = null;

  private constructor(
    engine: Engine,
    board: SharedArena,
    mailbox: Mailbox,
    mailboxes: readonly (RemoteMailbox | null)[],
    reach: readonly Uint8Array[],
  ) {
    this.#engine = engine;
    this.arena = board;
    this.#mailbox = mailbox;
    this.#mailboxes = mailboxes;
    this.#reach = reach;
  }

  /**
   * Finds out who can map whose memory: each rank says where its segment is and what random bytes are
   * in it, and looks for those of all others. Two waves, once for a job.
   *
   * @param call a call of all ranks of the job
   * @returns null if this rank has no means to share memory
   */
  static async meet(call: CollectiveCall): Promise<LocalPeers | null> {
    const { engine, size, rank } = call.context;
    const { hosts } = engine.transport, board = SharedArena.open(engine.transport);
    const token = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES));
    board?.token(rank, TOKEN_BYTES).set(token);
    const mailbox = board &&
      new Mailbox(board.memory, board.segments[rank], size, (from, header, payload) => {
        engine.deliver(from, header, payload);
      });
    engine.mailbox = mailbox; // others may have met before this rank knows
    const numbers = board === null ? [0, 0] : [Deno.pid, board.descriptor];
    const mine = pack([new Uint8Array(Float64Array.from(numbers).buffer), token]);
    const answers = unpack(await call.exchange(mine, pack), size);
    const mailboxes = answers.map((answer, peer) => {
      const [numbers, token] = unpack(answer, 2);
      const [pid, descriptor] = new Float64Array(numbers.slice().buffer);
      // Ranks of one process would wait for themselves.
      if (board === null || pid === 0 || pid === Deno.pid || hosts[peer] !== hosts[rank]) {
        return null;
      }
      const found = board.attach(peer, pid, descriptor) &&
        board.token(peer, TOKEN_BYTES).every((byte, i) => byte === token[i]);
      return found ? new RemoteMailbox(board.memory, board.segments[peer]) : null;
    });
    const reached = Uint8Array.from(mailboxes, (found, peer) => found || peer === rank ? 1 : 0);
    const reach = unpack(await call.exchange(reached, pack), size).map((row) => row.slice());
    if (board === null || mailbox === null) return null;
    board.memory.close(board.descriptor);
    return new LocalPeers(engine, board, mailbox, mailboxes, reach);
  }

  /** Whether all of a group of ranks have each other's memory. */
  sharesMemory(group: readonly number[]): boolean {
    return group.every((a) => group.every((b) => this.#reach[a][b] === 1));
  }

  /**
   * Puts a frame of a wave into the mailbox of a rank of the job.
   *
   * @returns false if it has to go over the wire
   */
  post(to: number, direction: Direction, header: Uint8Array, payload: Uint8Array): boolean {
    const { transport } = this.#engine;
    if (!this.#trusted || !this.isNear(to)) return false;
    const away = this.#mailboxes[to]!.post(transport.rank, direction, header, payload);
    if (away === null) return false;
    if (away) transport.send(to, encodeFrame({ kind: MessageKind.WAKE })).catch(() => {});
    return true;
  }

  /** Whether frames for a rank of the job can go to its mailbox. */
  isNear(rank: number): boolean {
    const me = this.#engine.transport.rank;
    return this.#reach[me][rank] === 1 && this.#reach[rank][me] === 1 && rank !== me;
  }

  /** Looks into this rank's mailbox for a moment, or until no frame is `missing`. */
  look(missing: () => number): void {
    this.#mailbox.look(missing);
  }

  /**
   * Reserves this rank's slots on the board for one call. Between two calls of one communicator nobody
   * need wait: the second begins with other slots than those that the first may still be read from.
   * Otherwise it waits for a while, asleep if the call may block.
   *
   * @returns false if another call has the slots, or somebody of another communicator still reads them
   */
  async reserve(call: CollectiveCall): Promise<boolean> {
    if (this.#reserved || !this.#trusted) return false;
    this.#reserved = true;
    const last = this.#last, deadline = performance.now() + PATIENCE_MS;
    if (last === null || last.context === call.context.id) return true;
    while (!this.arena.reached(last.counter, last.count)) {
      if (call.mayBlock && this.arena.sleepUntil(last.counter, last.count)) break;
      await yieldToEventLoop();
      if (performance.now() < deadline) continue;
      this.#reserved = false;
      return false;
    }
    return true;
  }

  /** Gives the slots back after a call, or with null because there was none. */
  release(call: BoardCall | null): void {
    this.#reserved = false;
    this.#last = call ?? this.#last;
  }

  /** Whether this rank still uses memory. */
  get enabled(): boolean {
    return this.#trusted;
  }

  /**
   * Stops using memory, for the rest of the job: after a failed call, a place may not have been emptied,
   * or a rank not arrive.
   */
  disable(): void {
    this.#trusted = false;
  }
}
