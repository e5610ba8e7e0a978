/**
 * The operations of one rank that an MPI library has been given and not yet completed, looked through
 * with one call (`MPI_Testsome`), which is also what makes the library go on.
 *
 * @module
 */

import type { MpiFunctions, MpiLibrary } from "./library.ts";

/** The most bytes of one operation; longer payloads travel in several, whose ends are signs of life. */
export const PIECE_BYTES = 8 << 20;

/** A place for a request in the array that the library sees. */
interface Slot {
  /** The memory that the library uses, kept from the garbage collector. */
  readonly bytes: Uint8Array | null;
  done(): void;
}

type Handles = BigUint64Array<ArrayBuffer> | Int32Array<ArrayBuffer>;

/** What is under way. */
export class Requests {
  readonly #library: MpiLibrary;
  readonly #mpi: MpiFunctions;
  readonly #communicator: number;
  readonly #indices: Int32Array<ArrayBuffer>[] = [];
  readonly #count = new Int32Array(32); // one number, in memory of its own
  #handles: Handles;
  #places: Handles[] = [];
  #slots: (Slot | null)[] = [];
  /** No place from here on is taken. */
  #end = 0;
  /** Free places below the end. */
  #free: number[] = [];
  #active = 0;

  constructor(library: MpiLibrary, communicator: number) {
    this.#library = library;
    this.#mpi = library.functions;
    this.#communicator = communicator;
    this.#handles = this.#allot(64);
  }

  /** How many operations are under way. */
  get active(): number {
    return this.#active;
  }

  /** Begins to send to a rank; the bytes must stay as they are until `done`. */
  send(bytes: Uint8Array, to: number, tag: number, done: () => void): void {
    const { byte } = this.#library.abi, at = this.#take({ bytes, done });
    this.#check(
      this.#mpi.MPI_Isend(
        bytes as Uint8Array<ArrayBuffer>,
        bytes.length,
        byte,
        to,
        tag,
        this.#communicator,
        this.#places[at],
      ),
      "MPI_Isend",
      at,
    );
  }

  /** Begins to receive from a rank, at most as many bytes as there is room for. */
  receive(bytes: Uint8Array, from: number, tag: number, done: () => void): number {
    const { byte } = this.#library.abi, at = this.#take({ bytes, done });
    this.#check(
      this.#mpi.MPI_Irecv(
        bytes as Uint8Array<ArrayBuffer>,
        bytes.length,
        byte,
        from,
        tag,
        this.#communicator,
        this.#places[at],
      ),
      "MPI_Irecv",
      at,
    );
    return at;
  }

  /** Resolves when all ranks have called it. */
  barrier(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const at = this.#take({ bytes: null, done: resolve });
    this.#check(
      this.#mpi.MPI_Ibarrier(this.#communicator, this.#places[at]),
      "MPI_Ibarrier",
      at,
    );
    return promise;
  }

  /** Takes back a receive for which no message will come. */
  cancel(at: number): void {
    if (this.#slots[at] === null) return;
    this.#mpi.MPI_Cancel(this.#places[at]);
    this.#mpi.MPI_Request_free(this.#places[at]);
    this.#release(at);
  }

  /**
   * Looks once which operations are complete and says so to those who began them.
   *
   * @returns how many were
   * @throws Error if one has failed, in the library's words
   */
  poll(): number {
    if (this.#active === 0) return 0;
    const [indices] = this.#indices, end = this.#end;
    const code = this.#mpi.MPI_Testsome(
      end,
      this.#handles,
      this.#count,
      indices,
      this.#library.abi.ignoreStatuses,
    );
    if (code !== 0) throw new Error(`MPI_Testsome failed: ${errorText(this.#mpi, code)}`);
    const count = this.#count[0];
    if (count <= 0) return 0; // below 0: none of them is active
    // Those who are told begin others, and may look as well.
    const done = [...indices.subarray(0, count)].map((at) => this.#release(at));
    for (const slot of done) slot?.done();
    return count;
  }

  #take(slot: Slot): number {
    const at = this.#free.pop() ?? this.#end++;
    if (at === this.#slots.length) this.#handles = this.#allot(2 * at);
    this.#slots[at] = slot;
    this.#active++;
    return at;
  }

  #release(at: number): Slot | null {
    const slot = this.#slots[at];
    this.#slots[at] = null;
    this.#handles[at] = this.#none as never;
    this.#active--;
    if (at === this.#end - 1) this.#end--;
    else this.#free.push(at);
    if (this.#active === 0) this.#end = this.#free.length = 0;
    return slot;
  }

  #check(code: number, call: string, at: number): void {
    if (code === 0) return;
    this.#release(at);
    throw new Error(`${call} failed: ${errorText(this.#mpi, code)}`);
  }

  get #none(): number | bigint {
    const { handle, noRequest } = this.#library.abi;
    return handle === "u64" ? BigInt(noRequest) : noRequest;
  }

  /** Makes room for more requests, and moves those that there are. */
  #allot(length: number): Handles {
    const wide = this.#library.abi.handle === "u64";
    const handles = wide ? new BigUint64Array(length) : new Int32Array(length);
    handles.fill(this.#none as never);
    for (let at = 0; at < this.#slots.length; at++) handles[at] = this.#handles[at] as never;
    this.#places = Array.from({ length }, (_, at) => handles.subarray(at, at + 1));
    this.#slots = [...this.#slots, ...new Array(length - this.#slots.length).fill(null)];
    this.#indices[0] = new Int32Array(length);
    return handles;
  }
}

/** What an error of the library is, in its own words. */
export function errorText(mpi: MpiFunctions, code: number): string {
  const words = new Uint8Array(1024), length = new Int32Array(32);
  if (mpi.MPI_Error_string(code, words, length) !== 0) return `error ${code}`;
  return new TextDecoder().decode(words.subarray(0, length[0]));
}
