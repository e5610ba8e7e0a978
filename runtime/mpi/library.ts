/**
 * Finds and opens a real MPI library, through the C library's own loader first: Open MPI's plugins look
 * for the symbols of the library that has loaded them among those that all of the process may see.
 *
 * Calls are made from the main thread only (`MPI_THREAD_FUNNELED`).
 *
 * @module
 */

import { RendezvousError } from "../base/errors.ts";
import { type Abi, type Flavour, recogniseAbi } from "./abi.ts";

const RTLD_NOW = 2, RTLD_GLOBAL = 0x100;

const LIBC = {
  dlopen: { parameters: ["buffer", "i32"], result: "pointer" },
  dlsym: { parameters: ["pointer", "buffer"], result: "pointer" },
  dlerror: { parameters: [], result: "pointer" },
  sched_yield: { parameters: [], result: "i32" },
  usleep: { parameters: ["u32"], result: "i32" },
} as const;

/** The calls of MPI that are used; `handle` stands for its communicators, types and error handlers. */
const symbols = (handle: "u64" | "i32") => ({
  MPI_Init_thread: { parameters: ["usize", "usize", "i32", "buffer"], result: "i32" },
  MPI_Finalize: { parameters: [], result: "i32" },
  MPI_Abort: { parameters: [handle, "i32"], result: "i32" },
  MPI_Error_string: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  MPI_Get_library_version: { parameters: ["buffer", "buffer"], result: "i32" },
  MPI_Get_processor_name: { parameters: ["buffer", "buffer"], result: "i32" },
  MPI_Comm_rank: { parameters: [handle, "buffer"], result: "i32" },
  MPI_Comm_size: { parameters: [handle, "buffer"], result: "i32" },
  MPI_Comm_dup: { parameters: [handle, "buffer"], result: "i32" },
  MPI_Comm_set_errhandler: { parameters: [handle, handle], result: "i32" },
  MPI_Allgather: {
    parameters: ["buffer", "i32", handle, "buffer", "i32", handle, handle],
    result: "i32",
  },
  MPI_Isend: {
    parameters: ["buffer", "i32", handle, "i32", "i32", handle, "buffer"],
    result: "i32",
  },
  MPI_Irecv: {
    parameters: ["buffer", "i32", handle, "i32", "i32", handle, "buffer"],
    result: "i32",
  },
  MPI_Ibarrier: { parameters: [handle, "buffer"], result: "i32" },
  MPI_Testsome: { parameters: ["i32", "buffer", "buffer", "buffer", "usize"], result: "i32" },
  MPI_Cancel: { parameters: ["buffer"], result: "i32" },
  MPI_Request_free: { parameters: ["buffer"], result: "i32" },
} as const);

/** The functions of an open library. */
export type MpiFunctions = Deno.DynamicLibrary<ReturnType<typeof symbols>>["symbols"];

/** An open MPI library. */
export interface MpiLibrary {
  readonly abi: Abi;
  /** The name under which it was found. */
  readonly path: string;
  readonly functions: MpiFunctions;
  /** Lets another process run, if one is ready to. */
  yieldProcessor(): void;
  /** Sleeps; nothing else happens in this process meanwhile. */
  sleep(microseconds: number): void;
}

const SONAMES: Record<Flavour, readonly string[]> = {
  "Open MPI": ["libmpi.so.40"],
  MPICH: ["libmpich.so.12", "libmpi.so.12"],
  "MPI ABI": ["libmpi_abi.so.1"],
};
const PACKAGES: Record<Flavour, string> = {
  "Open MPI": "openmpi-bin",
  MPICH: "mpich",
  "MPI ABI": "an MPI library with the common ABI of MPI 5.0",
};

/** Which libraries may belong to a launcher, the likeliest first. */
export function flavoursOf(launcher: string): readonly Flavour[] {
  switch (launcher) {
    case "openmpi":
      return ["Open MPI", "MPI ABI"];
    case "pmi":
      return ["MPICH", "MPI ABI"];
    default:
      return ["Open MPI", "MPICH", "MPI ABI"];
  }
}

/**
 * Opens the first library that is there.
 *
 * @param path the library's file or name; null: by the names of the flavours
 * @throws RendezvousError if this process may not, or there is none; with what to install
 */
export function openLibrary(flavours: readonly Flavour[], path: string | null): MpiLibrary {
  if (Deno.build.os !== "linux") {
    throw new RendezvousError(
      `the mpi transport is for Linux, not ${Deno.build.os}: the names of MPI's libraries elsewhere are ` +
        "not known here; the other transports work",
    );
  }
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") {
    throw new RendezvousError(
      "the mpi transport calls a C library and needs the ffi permission: start the ranks with --allow-ffi",
    );
  }
  const libc = Deno.dlopen("libc.so.6", LIBC).symbols;
  const names = path === null ? flavours.flatMap((flavour) => SONAMES[flavour]) : [path];
  const refusals: string[] = [];
  for (const name of names) {
    const handle = libc.dlopen(text(name), RTLD_NOW | RTLD_GLOBAL);
    if (handle === null) {
      const why = libc.dlerror();
      refusals.push(why === null ? name : Deno.UnsafePointerView.getCString(why));
      continue;
    }
    const addressOf = (symbol: string) =>
      Number(Deno.UnsafePointer.value(libc.dlsym(handle, text(symbol))));
    const abi = recogniseAbi({ abiVersion: abiVersion(name, addressOf), addressOf });
    // The one type stands for both: numbers are what is passed either way.
    const functions = Deno.dlopen(name, symbols(abi.handle)).symbols as unknown as MpiFunctions;
    return {
      abi,
      path: name,
      functions,
      yieldProcessor: () => void libc.sched_yield(),
      sleep: (microseconds) => void libc.usleep(microseconds),
    };
  }
  const install = flavours.map((flavour) => PACKAGES[flavour]);
  throw new RendezvousError(
    `cannot open an MPI library (${refusals.join("; ")}): ` +
      (path === null
        ? `install the one of the launcher (Debian: ${
          install.join(", or ")
        }), or name its file in CELGC_MPI_LIBRARY`
        : "CELGC_MPI_LIBRARY names a file that is none, or one that cannot be loaded"),
  );
}

/** What the library answers to the question for the common ABI. */
function abiVersion(name: string, addressOf: (symbol: string) => number): number | null {
  if (addressOf("MPI_Abi_get_version") === 0) return null;
  const { MPI_Abi_get_version } = Deno.dlopen(name, {
    MPI_Abi_get_version: { parameters: ["buffer", "buffer"], result: "i32" },
  }).symbols;
  const numbers = new Int32Array(2);
  const failed = MPI_Abi_get_version(bytesOf(numbers), bytesOf(numbers).subarray(4)) !== 0;
  return failed ? null : numbers[0];
}

/** The bytes of an array of numbers, out of the reach of the garbage collector's moves. */
export function bytesOf(view: ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** A string of C. */
function text(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${value}\0`);
}
