/**
 * From a launcher's variables to a transport over the MPI library that belongs to that launcher.
 *
 * @module
 */

import { RendezvousError } from "../base/errors.ts";
import type { LinkShape } from "../transport/access_link.ts";
import type { ConnectionEvents } from "../transport/peer_link.ts";
import { MeshTransport } from "../transport/mesh_transport.ts";
import type { JobControl, JobEvents } from "../transport/transport.ts";
import { flavoursOf, type MpiFunctions, type MpiLibrary, openLibrary } from "./library.ts";
import { type LinkWorld, MpiLink } from "./link.ts";
import { Pump } from "./pump.ts";
import { errorText, Requests } from "./requests.ts";

/** Bytes for a host's name, as long as the longest of a library. */
const NAME_BYTES = 256;

/** What is known of a rank before its library is asked. */
export interface MpiPlace {
  readonly rank: number;
  readonly size: number;
  /** Who started the ranks. */
  readonly launcher: string;
  /** Its variables in words. */
  readonly words: string;
  readonly timeoutMs: number;
  /** This host's name, or null: what the library says. */
  readonly host: string | null;
  /** The access link that every rank is to be behind, or null. */
  readonly link: LinkShape | null;
  /** The library's file, or null: by the names of those that may belong to the launcher. */
  readonly library: string | null;
  /** The way to a launcher of ours between the library's and this rank, which looks after the job; null without one. */
  readonly control: JobControl | null;
  /** Called when that is lost. */
  readonly onControlLost?: () => void;
}

/**
 * Joins the job through the library (`MPI_Init_thread`). Without a launcher of ours, a process that ends
 * without having left the job ends the whole of it: the library's launcher does not notice by itself in all
 * cases (MPICH's counts an exit code of 0 as an orderly end).
 *
 * @throws RendezvousError if there is no library, or it is another launcher's
 */
export function joinByMpi(place: MpiPlace): MeshTransport {
  const library = openLibrary(flavoursOf(place.launcher), place.library);
  const { abi: { world, funneled }, functions: mpi } = library;
  const number = new Int32Array(32);
  // Calls come from the main thread, which is not the only one.
  check(mpi, "MPI_Init_thread", mpi.MPI_Init_thread(0n, 0n, funneled, number));
  check(
    mpi,
    "MPI_Comm_set_errhandler",
    mpi.MPI_Comm_set_errhandler(world, library.abi.errorsReturn),
  );
  checkWorld(library, place);
  const communicator = duplicate(library);
  const hosts = hostsOf(library, communicator, place);
  const control = new MpiControl(library, place.control);
  const requests = new Requests(library, communicator);
  const linkWorld: LinkWorld = { requests, hurry: () => pump.hurry() };
  const links: MpiLink[] = [];
  const transport: MeshTransport = new MeshTransport({
    rank: place.rank,
    size: place.size,
    hosts,
    connections: hosts.map((_, peer) =>
      peer === place.rank ? undefined : (events: ConnectionEvents) => {
        const link = new MpiLink(peer, linkWorld, events);
        links.push(link);
        return link;
      }
    ),
    control,
    timeoutMs: place.timeoutMs,
    link: place.link,
    wireOnly: true,
    ...(place.onControlLost ? { onControlLost: place.onControlLost } : {}),
    onExpecting: () => pump.hurry(),
  });
  const pump: Pump = new Pump({
    poll() {
      try {
        return requests.poll();
      } catch (error) {
        pump.stop();
        for (const link of links) link.break(error as Error);
        return 0;
      }
    },
    isAwaited: () => transport.isAwaiting || links.some(({ busy }) => busy) || control.isLeaving,
    yieldProcessor: library.yieldProcessor,
    sleep: library.sleep,
  });
  control.leave = async () => {
    pump.hurry();
    // Nobody may end its library while another has still to read what it has sent.
    await requests.barrier();
    for (const link of links) link.stopReading();
    pump.stop();
  };
  return transport;
}

/** The job's end: through a launcher of ours where there is one, and through the library. */
class MpiControl implements JobControl {
  /** Waits until all ranks have taken their leave of all others. */
  leave: () => Promise<void> = () => Promise.resolve();
  /** Whether this rank waits for that. */
  isLeaving = false;

  readonly #library: MpiLibrary;
  readonly #launcher: JobControl | null;
  /** Resolves when others will not take their leave any more. */
  readonly #broken = Promise.withResolvers<void>();
  #isOver = false;

  constructor(library: MpiLibrary, launcher: JobControl | null) {
    this.#library = library;
    this.#launcher = launcher;
    // A launcher of ours sees the end of its ranks by itself, and knows more of it.
    if (launcher !== null) return;
    addEventListener("unload", () => {
      if (!this.#isOver) this.#abort(Deno.exitCode || 1);
    });
  }

  start(events: JobEvents): void {
    this.#launcher?.start({
      ...events,
      lost: (rank, reason) => {
        this.#broken.resolve();
        events.lost(rank, reason);
      },
      abort: (code, message) => {
        this.#broken.resolve();
        events.abort(code, message);
      },
    });
  }

  /** MPI has no way to say it; its launcher ends the job when this process fails. */
  report(report: Parameters<JobControl["report"]>[0]): Promise<void> {
    return this.#launcher?.report(report) ?? Promise.resolve();
  }

  abort(code: number, message: string): Promise<void> {
    if (this.#launcher !== null) return this.#launcher.abort(code, message);
    console.error(message);
    this.#abort(code);
    return Promise.resolve();
  }

  #abort(code: number): void {
    this.#isOver = true;
    const { abi: { world }, functions: mpi } = this.#library;
    mpi.MPI_Abort(world, code);
  }

  async finalize(): Promise<void> {
    this.isLeaving = true;
    // The wait for the others must keep the process alive.
    const hold = setInterval(() => {}, 60_000);
    try {
      const isBroken = this.#broken.promise.then(() => true);
      // The library would wait for ranks that are gone.
      if (await Promise.race([this.leave(), isBroken]) !== true) {
        this.#library.functions.MPI_Finalize();
      }
    } finally {
      clearInterval(hold);
    }
    this.#isOver = true;
    await this.#launcher?.finalize();
  }
}

/** Compares what the library says with what the launcher has said. */
function checkWorld(library: MpiLibrary, place: MpiPlace): void {
  const { abi: { world, flavour }, functions: mpi, path } = library;
  const [rank, size] = [mpi.MPI_Comm_rank, mpi.MPI_Comm_size].map((ask) => {
    const answer = new Int32Array(32);
    check(mpi, "MPI_Comm_rank", ask(world, answer));
    return answer[0];
  });
  if (rank === place.rank && size === place.size) return;
  mpi.MPI_Finalize();
  throw new RendezvousError(
    `${path} (${flavour}) says rank ${rank} of ${size}, but ${place.words} say rank ${place.rank} of ` +
      `${place.size}: the library is not the launcher's; start the ranks with its own mpirun, or name ` +
      "the launcher's library in CELGC_MPI_LIBRARY",
  );
}

/** A communicator for the frames alone, so that nothing else in the process meets them. */
function duplicate({ abi, functions: mpi }: MpiLibrary): number {
  const wide = new BigUint64Array(16), narrow = new Int32Array(wide.buffer);
  check(mpi, "MPI_Comm_dup", mpi.MPI_Comm_dup(abi.world, wide));
  return abi.handle === "u64" ? Number(wide[0]) : narrow[0];
}

/** The name of each rank's host. */
function hostsOf(library: MpiLibrary, communicator: number, place: MpiPlace): string[] {
  const { abi: { byte }, functions: mpi } = library;
  const name = new Uint8Array(NAME_BYTES), length = new Int32Array(32);
  if (place.host !== null) new TextEncoder().encodeInto(place.host, name);
  else check(mpi, "MPI_Get_processor_name", mpi.MPI_Get_processor_name(name, length));
  const all = new Uint8Array(NAME_BYTES * place.size);
  check(
    mpi,
    "MPI_Allgather",
    mpi.MPI_Allgather(name, NAME_BYTES, byte, all, NAME_BYTES, byte, communicator),
  );
  return Array.from({ length: place.size }, (_, rank) => {
    const bytes = all.subarray(rank * NAME_BYTES, (rank + 1) * NAME_BYTES);
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  });
}

function check(mpi: MpiFunctions, call: string, code: number): void {
  if (code !== 0) throw new RendezvousError(`${call} failed: ${errorText(mpi, code)}`);
}
