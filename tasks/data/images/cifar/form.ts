/**
 * The forms that CIFAR is distributed in, as the loader knows them.
 *
 * @module
 */

import type { FileSet } from "../../sources/file_set.ts";
import type { CifarKind, CifarLayout } from "./kinds.ts";

/** The names of a data set's files. */
export interface CifarFiles {
  /** In their order. */
  readonly train: readonly string[];
  /** In their order. */
  readonly test: readonly string[];
  /** The file of the classes' names; null where there is none. */
  readonly names: string | null;
}

/** Some labelled images. */
export interface LabelledImages {
  /** `[count, 3, 32, 32]` */
  readonly pixels: Uint8Array;
  /** `[count]` */
  readonly labels: Uint8Array;
}

/** A form. */
export interface CifarForm {
  /** What a message calls it. */
  readonly title: string;
  /** Its files among some; null where there are no training files of it. */
  find(names: readonly string[], kind: CifarKind): CifarFiles | null;
  /** How many images a file of so many bytes has, where its size says that. Throws Error for an odd one. */
  count?(bytes: number, kind: CifarKind): number;
  /** Throws Error with what is wrong with a file that can be told without reading its images. */
  check?(set: FileSet, name: string, kind: CifarKind): Promise<void>;
  /** The images of a file. Throws Error with what is wrong with it. */
  images(bytes: Uint8Array<ArrayBuffer>, kind: CifarKind): Promise<LabelledImages>;
  /** The names of the classes. Throws Error with what is wrong with the file. */
  classes(bytes: Uint8Array<ArrayBuffer>, kind: CifarKind): Promise<string[]>;
}

/** Throws Error unless labels are some of a data set's. */
export function checkLabels(labels: ArrayLike<number>, { classes }: CifarKind): void {
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i];
    if (Number.isInteger(label) && label >= 0 && label < classes.length) continue;
    throw new Error(
      `has label ${label} in record ${i}, a label is 0 to ${
        classes.length - 1
      }; the file is altered or of ` +
        "another data set",
    );
  }
}

/** The files of a layout that lie together in one folder: the first such folder in the order of the names. */
export function filesIn(names: readonly string[], layout: CifarLayout): CifarFiles | null {
  const base = (name: string) => name.slice(name.lastIndexOf("/") + 1);
  const first = names.find((name) => layout.train.test(base(name)));
  if (first === undefined) return null;
  const folder = first.slice(0, first.lastIndexOf("/") + 1);
  const number = (name: string) => Number(layout.train.exec(base(name))![1] ?? 0);
  const train = names.filter((name) =>
    name === folder + base(name) && layout.train.test(base(name))
  );
  return {
    train: train.sort((a, b) => number(a) - number(b)),
    test: [folder + layout.test],
    names: names.includes(folder + layout.names) ? folder + layout.names : null,
  };
}
