/**
 * How the MPI libraries differ below their common names: what a handle is, and which numbers stand for
 * the predefined objects.
 *
 * Sources: Open MPI 4.1's and MPICH 4.0's `mpi.h`; for the common ABI chapter 20 of MPI 5.0 and the
 * header of https://github.com/mpi-forum/mpi-abi-stubs.
 *
 * @module
 */

/** The families of libraries whose numbers are known. */
export type Flavour = "Open MPI" | "MPICH" | "MPI ABI";

/** What a library's predefined objects are, and how wide its handles. */
export interface Abi {
  readonly flavour: Flavour;
  /** The type of a handle in a call: an address, or a number of 32 bits. */
  readonly handle: "u64" | "i32";
  readonly world: number;
  readonly byte: number;
  readonly errorsReturn: number;
  /** The level of thread support at which one thread makes all calls, and others do not matter. */
  readonly funneled: number;
  /** A request that is none, in an array of requests. */
  readonly noRequest: number;
  /** An address that stands for statuses nobody wants. */
  readonly ignoreStatuses: bigint;
}

/** Handles are addresses of variables in the library. */
function openMpi(addressOf: (symbol: string) => number): Abi {
  return {
    flavour: "Open MPI",
    handle: "u64",
    world: addressOf("ompi_mpi_comm_world"),
    byte: addressOf("ompi_mpi_byte"),
    errorsReturn: addressOf("ompi_mpi_errors_return"),
    funneled: 1,
    noRequest: addressOf("ompi_request_null"),
    ignoreStatuses: 0n,
  };
}

/** The ABI that MPICH, Intel MPI, MVAPICH and Cray MPICH share since 2014. */
const MPICH: Abi = {
  flavour: "MPICH",
  handle: "i32",
  world: 0x44000000,
  byte: 0x4c00010d,
  errorsReturn: 0x54000001,
  funneled: 1,
  noRequest: 0x2c000000,
  ignoreStatuses: 1n,
};

const COMMON: Abi = {
  flavour: "MPI ABI",
  handle: "u64",
  world: 0x101,
  byte: 0x247,
  errorsReturn: 0x142,
  funneled: 1024,
  noRequest: 0x180,
  ignoreStatuses: 0n,
};

/** What is looked at to tell a library's flavour. */
export interface LibraryTraits {
  /** The version of the common ABI that the library says it has; null if it does not know the question. */
  readonly abiVersion: number | null;
  /** Address of a symbol; 0 if the library has none of that name. */
  addressOf(symbol: string): number;
}

/** Tells a library's flavour by what is in it. */
export function recogniseAbi({ abiVersion, addressOf }: LibraryTraits): Abi {
  if (abiVersion !== null && abiVersion > 0) return COMMON;
  return addressOf("ompi_mpi_comm_self") !== 0 ? openMpi(addressOf) : MPICH;
}
