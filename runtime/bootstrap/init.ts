/**
 * Joins the job: from the environment to a communicator (MPI-4.1, chapter 11: `MPI_Init`).
 *
 * @module
 */

import { type Communicator, worldCommunicator } from "../communicator.ts";
import { ClosedError, PeerLostError, reasonOf } from "../base/errors.ts";
import { joinJob } from "./join.ts";
import { environmentIsHidden, processEnvironment, readEnvironment } from "./environment.ts";
import { describeLauncher } from "./foreign_launchers.ts";
import { SingleTransport } from "../transport/single_transport.ts";
import type { Transport } from "../transport/transport.ts";

// Two copies of the runtime, under two URLs, would be two ranks in one process.
const JOINED = Symbol.for("celgc.joined");

/** How to join. */
export interface InitOptions {
  /**
   * What the ranks talk over. `mpi` is the MPI library of the launcher that has started them, `mpirun` or
   * `srun`; see `docs/launchers.md`.
   *
   * @default {what CELGC_TRANSPORT says, or auto}
   */
  readonly transport?: "auto" | "tcp" | "unix" | "mpi";
  /**
   * What the loss of a rank is to the others: with `abort` the end of the job; with `return` an error of the
   * operations that need it, after which they can go on: see `runtime/failures/README.md`. The same on all ranks; not
   * with the `mpi` transport.
   *
   * @default {what CELGC_ON_FAILURE says, or abort}
   */
  readonly onFailure?: "abort" | "return";
}

/** The global object of a process; once it has joined, with what leaves the job again. */
interface Joined {
  [JOINED]?: () => Promise<void>;
}

/**
 * Joins the job that this process was launched for. Without a launcher, the job is this process alone
 * (a singleton, MPI-4.1, section 11.8.2).
 *
 * Dispose of the communicator at the program's end, best with `await using`; a program that runs to
 * its end without doing so is taken to have meant it, one that calls `Deno.exit()` is not.
 *
 * @throws Error if this process has called it before (erroneous in MPI as well, section 11.2.1), or in a
 *   Worker of a rank
 * @throws RendezvousError if the environment is not that of a rank, or not all ranks join in time
 * @throws HandshakeError if this rank's secret is not the job's
 *
 * @example
 * ```ts
 * import { init } from "./init.ts";
 * await using comm = await init();
 * const sum = Float32Array.of(comm.rank);
 * await comm.allreduce(sum);
 * ```
 */
export async function init(options: InitOptions = {}): Promise<Communicator> {
  const shared = globalThis as Joined;
  if (shared[JOINED] !== undefined) {
    throw new Error(
      "cannot init(): it was called before, and a process joins its job once; share the communicator " +
        "that the first call returned, or a dup() of it",
    );
  }
  shared[JOINED] = () => Promise.resolve();
  const given: Readonly<Record<string, string | undefined>> = {
    CELGC_TRANSPORT: options.transport,
    CELGC_ON_FAILURE: options.onFailure,
  };
  const info = readEnvironment(
    (name) => given[name] ?? processEnvironment(name),
    (line) => console.error(`celgc: ${line}`),
  );
  if (info !== null && "DedicatedWorkerGlobalScope" in globalThis) {
    throw new Error(
      "cannot init() in a Worker: a process is one rank, and its main thread joins the job; call init() " +
        "there, and exchange with the Worker by messages or shared memory",
    );
  }
  if (info === null) {
    if (environmentIsHidden()) {
      console.error(
        "celgc: a job of one rank: this process may not read its environment, by which it would find " +
          "others; allow that with --allow-env",
      );
    }
    return worldCommunicator(new SingleTransport("localhost"));
  }
  const { launcher, rank, size } = info;
  if (launcher !== null && rank === 0) {
    console.error(`celgc: rank 0 of ${size}, from ${describeLauncher(launcher)}`);
  }
  const transport = await joinJob(info);
  const communicator = worldCommunicator(transport);
  watchProgram(transport, communicator);
  shared[JOINED] = () => communicator[Symbol.asyncDispose]();
  return communicator;
}

/** Leaves the job, if this process has joined one; for programs that are at their end. */
export async function leaveJob(): Promise<void> {
  await (globalThis as Joined)[JOINED]?.();
}

function describe(reason: unknown): string {
  return reason instanceof Error ? `${reason.name}: ${reason.message}` : String(reason);
}

/** Reports what ends the program, and takes leave for a program that does not. */
function watchProgram(transport: Transport, communicator: Communicator): void {
  const report = (reason: unknown) => {
    transport.report({ message: describe(reason), step: communicator.step }).catch(() => {});
  };
  let failed = false, pending: ClosedError | null = null;
  addEventListener("error", (event) => {
    failed = true;
    report(event.error ?? event.message);
  });
  addEventListener("unhandledrejection", (event) => {
    if (event.reason instanceof ClosedError) {
      // A call that was pending when the communicator was disposed of, most likely because of the
      // error that is unwinding the program: that error is the one to show.
      event.preventDefault();
      pending = event.reason;
      Deno.exitCode = 1;
      return;
    }
    failed = true;
    report(reasonOf(event.reason));
    if (event.reason instanceof SuppressedError && !event.defaultPrevented) {
      // Deno shows neither of the two errors in it; all else is as it does with any other.
      event.preventDefault();
      const first = reasonOf(event.reason), { error } = event.reason;
      if (error instanceof PeerLostError) {
        // What the goodbye lacks after a failure is its consequence, and would hide it.
        queueMicrotask(() => {
          throw first;
        });
        return;
      }
      console.error("error: Uncaught", first);
      console.error(`followed by ${describe(error)}`);
      Deno.exit(1);
    }
  });
  addEventListener("unload", () => {
    if (pending !== null && !failed) console.error(pending);
  });
  let leaving = false;
  addEventListener("beforeunload", (event) => {
    if (leaving) return;
    leaving = true;
    event.preventDefault();
    communicator[Symbol.asyncDispose]().catch((error) => {
      // What the goodbye lacks after a failure is its consequence, and would hide it.
      if (!failed) console.error(error);
      Deno.exit(1);
    });
  });
}
