import type { CollectiveCall } from "../engine/call.ts";
import { align } from "../reduction/workspace.ts";
import { STAGING_BUFFERS } from "../shared_memory/arena.ts";
import type { StagingReservation } from "../shared_memory/local_peers.ts";
import { EMPTY } from "./blocks.ts";

/** What one rank has put into its memory for another to read. */
export interface Shown {
  /** Lies in the other rank's memory until `release`. */
  readonly bytes: Uint8Array;
  /** Says that it is read no more. */
  release(): Promise<void>;
}

/**
 * Payloads between ranks of one host, through memory that they share: a rank copies one into a slot of
 * its staging buffers and sends a frame that says in which; whoever has read it there says so by an
 * empty frame, and the slot is free for another. Nobody sleeps: frames wake those who wait.
 */
export class LocalSlots {
  readonly #call: CollectiveCall;
  readonly #reservation: StagingReservation;
  readonly #slotBytes: number;
  readonly #perBuffer: number;
  readonly #free: number[];
  readonly #waiting: ((slot: number) => void)[] = [];

  private constructor(call: CollectiveCall, reservation: StagingReservation, slotBytes: number) {
    const { stagingBytes } = call.group.localPeers.arena;
    this.#call = call;
    this.#reservation = reservation;
    this.#slotBytes = slotBytes;
    this.#perBuffer = Math.floor(stagingBytes / slotBytes);
    this.#free = Array.from({ length: STAGING_BUFFERS * this.#perBuffer }, (_, slot) => slot);
  }

  /**
   * Reserves this rank's staging buffers; null if it shares no memory with all of `ranks`, or the buffers
   * are in use, or too small.
   *
   * @param ranks those of the host
   * @param bytes of the longest payload
   */
  static async reserve(
    call: CollectiveCall,
    ranks: readonly number[],
    bytes: number,
  ): Promise<LocalSlots | null> {
    const { members, localPeers, id } = call.group, slotBytes = align(bytes);
    if (ranks.length === 1 || !localPeers.sharesMemory(ranks.map((rank) => members[rank]))) {
      return null;
    }
    if (bytes === 0 || slotBytes > localPeers.arena.stagingBytes) return null;
    const reservation = await localPeers.reserve(id, call);
    return reservation && new LocalSlots(call, reservation, slotBytes);
  }

  /** Gives the staging buffers back; nobody may read there any more. */
  release(): void {
    this.#reservation.release(null);
  }

  /**
   * Shows a payload to some ranks; resolves when all have read it.
   *
   * @param number of the frame that says so, and of those that answer
   */
  async show(
    to: readonly number[],
    number: number,
    answer: number,
    payload: Uint8Array,
  ): Promise<void> {
    if (to.length === 0) return;
    const slot = this.#free.shift() ??
      await new Promise<number>((resolve) => this.#waiting.push(resolve));
    const { members, rank } = this.#call.group;
    this.#at(members[rank], slot, payload.length).set(payload);
    const place = new Uint8Array(Uint32Array.of(slot, payload.length).buffer);
    await Promise.all(to.flatMap((reader) => [
      this.#call.receive(reader, answer, EMPTY),
      this.#call.send(reader, number, place),
    ]));
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(slot);
    else next(slot);
  }

  /** What a frame from {@linkcode LocalSlots.show} speaks of. */
  shown(from: number, answer: number, place: Uint8Array): Shown {
    const [slot, length] = new Uint32Array(place.buffer, place.byteOffset, 2);
    return {
      bytes: this.#at(this.#call.group.members[from], slot, length),
      release: () => this.#call.send(from, answer, EMPTY),
    };
  }

  #at(member: number, slot: number, length: number): Uint8Array<ArrayBuffer> {
    const { arena } = this.#call.group.localPeers;
    const start = (slot % this.#perBuffer) * this.#slotBytes;
    return arena.staging(member, Math.floor(slot / this.#perBuffer)).subarray(
      start,
      start + length,
    );
  }
}
