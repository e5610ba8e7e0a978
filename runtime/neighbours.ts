/**
 * Which ranks can look into each other's memory, and what it takes to do so.
 *
 * @module
 */

import type { Call } from "./collectives/_call.ts";
import { pack, unpack } from "./collectives/_pack.ts";
import { encodeFrame, Kind } from "./_frame.ts";
import type { Engine } from "./engine.ts";
import { type Direction, Mailbox } from "./mailbox.ts";
import { PeerMemory } from "./peer_memory.ts";

/** Enough that the bytes do not lie where a garbage collector moves things. */
const TOKEN_BYTES = 1024;
/** Most ranks for which every rank keeps a mailbox. */
const MOST_RANKS = 128;

/** What is known of a rank. */
interface Neighbour {
  readonly pid: number;
  /** Where its mailbox lies. */
  readonly mailbox: number;
}

/** The ranks of a job, as far as they share a host and may look into each other. */
export class Neighbours {
  /** Reads their memory. */
  readonly memory: PeerMemory;
  readonly #engine: Engine;
  readonly #ranks: readonly Neighbour[];
  /** #reach[a][b] is 1 if rank a can read the memory of rank b. */
  readonly #reach: readonly Uint8Array[];
  readonly #mailbox: Mailbox;
  #trusted = true;

  private constructor(
    engine: Engine,
    memory: PeerMemory,
    mailbox: Mailbox,
    ranks: readonly Neighbour[],
    reach: readonly Uint8Array[],
  ) {
    this.#engine = engine;
    this.memory = memory;
    this.#mailbox = mailbox;
    this.#ranks = ranks;
    this.#reach = reach;
  }

  /**
   * Finds out who can read whose memory: each rank publishes random bytes and where they lie, and reads
   * those of all others. Two waves, once for a job.
   *
   * @param call a call of all ranks of the job
   * @returns null if this rank can read nobody's
   */
  static async meet(call: Call): Promise<Neighbours | null> {
    const { engine, size, rank } = call.context;
    const apart = engine.transport.exclusive || size > MOST_RANKS;
    const memory = apart ? null : PeerMemory.open();
    const mailbox = memory && new Mailbox(memory, size, (from, header, payload) => {
      engine.deliver(from, header, payload);
    });
    engine.mailbox = mailbox; // others may have met before this rank knows
    const token = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES));
    const numbers = memory ? [Deno.pid, mailbox!.address, PeerMemory.address(token)] : [0, 0, 0];
    const mine = pack([new Uint8Array(Float64Array.from(numbers).buffer), token]);
    const answers = unpack(await call.exchange(mine, pack), size).map((part) => {
      const [numbers, token] = unpack(part, 2);
      const [pid, mailbox, address] = new Float64Array(numbers.slice().buffer);
      return { pid, mailbox, address, token };
    });
    const copy = new Uint8Array(TOKEN_BYTES), copyAddress = memory ? PeerMemory.address(copy) : 0;
    const reached = Uint8Array.from(answers, ({ pid, address, token }, peer) => {
      if (memory === null || pid === 0) return 0;
      const read = peer === rank || memory.read(pid, address, copyAddress, TOKEN_BYTES);
      return read && (peer === rank || copy.every((byte, i) => byte === token[i])) ? 1 : 0;
    });
    const reach = unpack(await call.exchange(reached, pack), size).map((row) => row.slice());
    token.fill(0);
    if (memory === null || mailbox === null) return null;
    return new Neighbours(engine, memory, mailbox, answers, reach);
  }

  /** The process numbers of a group of ranks if all can read each other's memory, else null. */
  pidsOf(group: readonly number[]): readonly number[] | null {
    const all = group.every((a) => group.every((b) => this.#reach[a][b] === 1));
    return all ? group.map((rank) => this.#ranks[rank].pid) : null;
  }

  /**
   * Puts a frame of a wave into the mailbox of a rank of the job.
   *
   * @returns false if it has to go over the wire
   */
  post(to: number, direction: Direction, header: Uint8Array, payload: Uint8Array): boolean {
    const { transport } = this.#engine;
    if (!this.#trusted || !this.isNear(to)) return false;
    const asleep = this.#mailbox.post(this.#ranks[to], transport.rank, direction, header, payload);
    if (asleep === null) return false;
    if (asleep) transport.send(to, encodeFrame({ kind: Kind.WAKE })).catch(() => {});
    return true;
  }

  /** Stops using mailboxes: after a failed call, a place may not have been emptied. */
  distrust(): void {
    this.#trusted = false;
  }

  /** Whether frames for a rank of the job can go to its mailbox. */
  isNear(rank: number): boolean {
    const me = this.#engine.transport.rank;
    return this.#reach[me][rank] === 1 && this.#reach[rank][me] === 1 &&
      this.#ranks[rank].pid !== Deno.pid;
  }

  /** Looks into this rank's mailbox for a moment, or until `enough` says so. */
  look(enough: () => boolean): void {
    this.#mailbox.look(enough);
  }
}
