/** What an MPI library is, and which of them is taken. */

import assert from "node:assert/strict";
import { recogniseAbi } from "../../../runtime/mpi/abi.ts";
import { flavoursOf, openLibrary } from "../../../runtime/mpi/library.ts";

Deno.test("a library is told by its symbols, and by its answer where it knows the question", () => {
  const none = { abiVersion: null, addressOf: () => 0 };
  assert.equal(recogniseAbi(none).flavour, "MPICH");
  const addresses = new Map([["ompi_mpi_comm_self", 8], ["ompi_mpi_comm_world", 16]]);
  const addressOf = (symbol: string) => addresses.get(symbol) ?? 0;
  const open = recogniseAbi({ abiVersion: null, addressOf });
  assert.deepEqual([open.flavour, open.handle, open.world], ["Open MPI", "u64", 16]);
  const common = recogniseAbi({ abiVersion: 1, addressOf });
  assert.deepEqual(common, {
    ...{ flavour: "MPI ABI", handle: "u64", world: 0x101, byte: 0x247, errorsReturn: 0x142 },
    ...{ funneled: 1024, noRequest: 0x180, ignoreStatuses: 0n },
  });
  assert.equal(recogniseAbi({ abiVersion: -1, addressOf }).flavour, "Open MPI");
});

Deno.test("a launcher's own library is looked for, or any that the common ABI has", () => {
  assert.deepEqual(flavoursOf("openmpi"), ["Open MPI", "MPI ABI"]);
  assert.deepEqual(flavoursOf("pmi"), ["MPICH", "MPI ABI"]);
  assert.deepEqual(flavoursOf("slurm"), ["Open MPI", "MPICH", "MPI ABI"]);
});

Deno.test({
  name: "where there is no library, the package to install is named",
  ignore: Deno.build.os !== "linux",
  fn() {
    assert.throws(
      () => openLibrary(["MPI ABI"], "libno_mpi.so.1"),
      /libno_mpi.so.1: .*CELGC_MPI_LIBRARY/,
    );
  },
});
