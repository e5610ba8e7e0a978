/**
 * Arrays of one's own, by their names: of an `.npz` file or a folder of `.npy` files, or the columns of a table, which
 * is a CSV file or one `.npy` file of two axes.
 *
 * @module
 */

import { basename } from "node:path";
import { DataError } from "../data_error.ts";
import type { OwnSplits } from "../own_splits.ts";
import { type FileSet, openFileSet } from "../sources/file_set.ts";
import { brief, columnOf, columnsOf, readTable } from "./csv.ts";
import { formatShape, type NamedArray, type NumberArray, readNpy } from "./npy.ts";

/** The arrays of one split. */
export interface ArraySplit {
  /** The file or folder, for messages. */
  readonly place: string;
  /** What can be asked for. */
  readonly names: readonly string[];
  /** An array, or a column of a table. Throws DataError where a value is missing. */
  get(name: string): NamedArray;
  /** Columns of a table side by side; absent where there is none. Throws DataError where one is not of numbers. */
  columns?(names: readonly string[]): NumberArray;
}

/** The arrays of a data set. */
export interface ArraySource {
  readonly train: ArraySplit;
  readonly test: ArraySplit | null;
  readonly valid: ArraySplit | null;
}

/** Names of the splits, as part of a file's or an array's. */
const SPLITS = {
  train: ["train"],
  test: ["test"],
  valid: ["valid", "val", "validation"],
} as const;

type SplitName = keyof typeof SPLITS;

/** Which split a name belongs to, and what it is called in it: `x_train`, `train_images`, `x`. */
function splitOf(name: string): { readonly split: SplitName; readonly base: string } {
  for (const split of Object.keys(SPLITS) as SplitName[]) {
    const words = SPLITS[split].join("|");
    const base = new RegExp(`^(?:${words})[_.-](.+)$|^(.+)[_.-](?:${words})$`, "i").exec(name);
    if (base) return { split, base: base[1] ?? base[2] };
  }
  return { split: "train", base: name };
}

const isTable = (name: string) => /\.(csv|tsv)$/i.test(name);
const isArray = (name: string) => /\.npy$/i.test(name);
const isArchive = (name: string) => /\.npz$/i.test(name);

/** A file's name without folder and ending. */
const stemOf = (name: string) => basename(name).replace(/\.[^.]*$/, "");

const LAYOUTS =
  "an .npz file, a .csv file, a folder of .npy files such as x.npy and y.npy, or a folder of " +
  "train.csv and test.csv";

/**
 * Opens what lies at a place.
 *
 * @throws DataError when there are no arrays, or one cannot be read
 */
export async function openArrays(place: string): Promise<ArraySource> {
  const { set, names } = await arrayFiles(place);
  if (names.every(isTable)) return await openTables(set, names);
  if (isArchive(names[0])) {
    const inside = await openFileSet(set.pathOf(names[0]));
    return await openNumbers(inside, inside.names);
  }
  return names.length === 1 && set.place === set.pathOf(names[0])
    ? await openNumberTable(set, names[0])
    : await openNumbers(set, names);
}

/** Which splits the files hold out; a validation set stands in for a missing test set. */
export function ownArraySplits({ test, valid }: ArraySource): OwnSplits {
  return { test: test !== null || valid !== null, valid: test !== null && valid !== null };
}

/**
 * The files of a data set.
 *
 * @throws DataError when there are none, or of several kinds
 */
export async function arrayFiles(
  place: string,
): Promise<{ readonly set: FileSet; readonly names: readonly string[] }> {
  const cannot = (why: string, cause?: unknown) =>
    new DataError(`cannot read the arrays: ${why}`, { path: place, cause });
  let set: FileSet;
  try {
    // What is inside of one is looked at later.
    set = await openFileSet(place, { depth: 0, unpacks: !isArchive(place) });
  } catch (cause) {
    throw cannot((cause as Error).message, cause);
  }
  const known = set.names.filter((name) =>
    !basename(name).startsWith(".") && [isTable, isArray, isArchive].some((is) => is(name))
  );
  if (known.length === 0) throw cannot(`${LAYOUTS} is required; found none in ${set.place}`);
  const kinds = [isTable, isArray, isArchive].map((is) => known.filter(is));
  const names = kinds.find((some) => some.length === known.length);
  if (!names || isArchive(names[0]) && names.length > 1) {
    throw cannot(`${LAYOUTS} is required; ${set.place} has ${known.slice(0, 6).join(", ")}`);
  }
  return { set, names };
}

/** Splits by their names; of a single one, whatever its name, the training set. */
function bySplit<T>(
  place: string,
  all: ReadonlyMap<string, T>,
): Record<SplitName, [string, T] | null> {
  const found: Record<SplitName, [string, T] | null> = { train: null, test: null, valid: null };
  for (const [name, each] of all) {
    const split = (Object.keys(SPLITS) as SplitName[])
      .find((split) => (SPLITS[split] as readonly string[]).includes(name.toLowerCase()));
    const which = all.size === 1 ? "train" : split;
    if (!which || found[which]) {
      throw new DataError(
        `cannot read the arrays: of several tables one is called train.csv, others test.csv and valid.csv; ` +
          `${place} has ${[...all.keys()].slice(0, 6).join(", ")}`,
        { path: place },
      );
    }
    found[which] = [name, each];
  }
  return found;
}

async function openTables(set: FileSet, names: readonly string[]): Promise<ArraySource> {
  const parts = bySplit(set.place, new Map(names.map((name) => [stemOf(name), name])));
  const open = async (part: [string, string] | null): Promise<ArraySplit | null> => {
    if (!part) return null;
    const [, name] = part, table = await readTable(set.pathOf(name), await set.read(name));
    return {
      place: table.path,
      names: table.columns,
      get: (column) => columnOf(table, column),
      columns: (columns) => columnsOf(table, columns),
    };
  };
  const [train, test, valid] = [
    await open(parts.train),
    await open(parts.test),
    await open(parts.valid),
  ];
  if (train) return { train, test, valid };
  throw new DataError(`cannot read the arrays: ${set.place} has no train.csv`, { path: set.place });
}

async function readArray(set: FileSet, name: string): Promise<NamedArray> {
  const bytes = await set.read(name), path = set.pathOf(name);
  try {
    return readNpy(bytes);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new DataError(`cannot read the array ${path}: ${cause.message}`, { path, cause });
  }
}

async function openNumbers(set: FileSet, names: readonly string[]): Promise<ArraySource> {
  const splits: Record<SplitName, Map<string, NamedArray>> = {
    train: new Map(),
    test: new Map(),
    valid: new Map(),
  };
  for (const name of names.filter(isArray)) {
    const { split, base } = splitOf(stemOf(name)), arrays = splits[split];
    if (arrays.has(base)) {
      throw new DataError(
        `cannot read the arrays: ${set.place} has two arrays ${brief(base)} to train with`,
        { path: set.place },
      );
    }
    arrays.set(base, await readArray(set, name));
  }
  const of = (arrays: ReadonlyMap<string, NamedArray>): ArraySplit => ({
    place: set.place,
    names: [...arrays.keys()],
    get: (name) => arrays.get(name)!,
  });
  const { train, test, valid } = splits;
  if (train.size === 0) {
    throw new DataError(
      `cannot read the arrays: ${LAYOUTS} is required; ${set.place} has ${
        names.slice(0, 6).join(", ") || "nothing in it"
      }`,
      { path: set.place },
    );
  }
  return {
    train: of(train),
    test: test.size > 0 ? of(test) : null,
    valid: valid.size > 0 ? of(valid) : null,
  };
}

/** One array alone: its columns are called 0, 1, 2, … */
async function openNumberTable(set: FileSet, name: string): Promise<ArraySource> {
  const array = await readArray(set, name), place = set.pathOf(name);
  const { dims, data, kind } = array;
  if (kind === "text" || dims.length !== 2) {
    throw new DataError(
      `cannot read the arrays: ${place} alone must be a table of numbers, [rows, columns], not ` +
        `${kind === "text" ? "texts" : formatShape(dims)}: put x.npy and y.npy into a folder`,
      { path: place },
    );
  }
  const [rows, columns] = dims, numbers = data as ArrayLike<number>;
  const take = (names: readonly string[]) => {
    const taken = new Float64Array(rows * names.length);
    names.map(Number).forEach((column, at) => {
      for (let row = 0; row < rows; row++) {
        taken[row * names.length + at] = numbers[row * columns + column];
      }
    });
    return taken;
  };
  const train: ArraySplit = {
    place,
    names: Array.from({ length: columns }, (_, i) => String(i)),
    get(name) {
      const data = take([name]);
      return { kind: data.every(Number.isInteger) ? "whole" : "float", dims: [rows], data };
    },
    columns: (names) => ({ kind: "float", dims: [rows, names.length], data: take(names) }),
  };
  return { train, test: null, valid: null };
}
