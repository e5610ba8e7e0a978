/**
 * Readers of arrays of one's own.
 *
 * @module
 */

import { join } from "node:path";
import { readTable } from "../../tasks/data/arrays/csv.ts";
import { loadArrays } from "../../tasks/data/arrays/load_arrays.ts";
import { readNpy } from "../../tasks/data/arrays/npy.ts";
import { DataError } from "../../tasks/data/data_error.ts";
import { encodeNpy, encodeNpz, floats, wholes } from "../tasks/npy.ts";
import type { Reader } from "./_reader.ts";

const OPTIONS = {
  ...{ inputs: null, target: null, loss: null, standardise: "inputs" as const, testFraction: 0.25 },
} as const;

/** The readers, one of which writes its files into a folder. */
export async function arrayReaders(folder: string): Promise<Reader[]> {
  const table = new TextEncoder().encode(
    'a,"b",y\n1,2.5,cat\n-3e1,0,"d""og"\n\n4,.5,cat\n7,8,dog\n',
  );
  const x = floats([5, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), y = wholes([5], [0, 1, 2, 0, 1]);
  const whole = await encodeNpz({ x, y });
  const split = await encodeNpz({ x_train: x, y_train: y, x_test: x, y_test: y });
  const load = (name: string) => async (bytes: Uint8Array) => {
    const path = join(folder, name);
    await Deno.writeFile(path, bytes);
    await loadArrays(path, OPTIONS, null);
  };
  return [
    {
      name: "NumPy's arrays",
      seeds: [
        x,
        y,
        encodeNpy(">f8", [2, 2], new Uint8Array(32), { fortran: true, version: 2 }),
        encodeNpy("|b1", [3], new Uint8Array(3), { version: 3 }),
        encodeNpy("<U2", [2], new Uint8Array(16)),
      ],
      errors: [RangeError],
      read: readNpy,
    },
    {
      name: "tables",
      seeds: [table],
      errors: [DataError],
      share: 0.5,
      read: (bytes) => readTable("t.csv", bytes),
    },
    {
      name: "tables, learnt",
      seeds: [table],
      errors: [DataError],
      share: 0.05,
      read: load("t.csv"),
    },
    {
      name: "archives of arrays",
      seeds: [whole, split],
      errors: [DataError],
      share: 0.05,
      read: load("a.npz"),
    },
  ];
}
