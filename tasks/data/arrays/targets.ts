/**
 * What samples are to be predicted: classes or amounts, and which classes there are.
 *
 * @module
 */

import { DataError } from "../data_error.ts";
import { brief } from "./csv.ts";
import type { NamedArray, NumberArray } from "./npy.ts";

/** More different whole numbers than this may be classes or amounts. */
const MOST_WHOLE_CLASSES = 100;

const MOST_CLASSES = 65_536;

/**
 * Whether a target is classes or amounts. Texts and truth values are classes, numbers with a fraction amounts, as
 * scikit-learn's `type_of_target` has it; so are whole numbers, of which up to 100 are classes.
 *
 * @param loss as in `--loss`; decides, where it is for one of the two
 * @throws DataError when the loss does not go with the target, or nothing says which it is
 */
export function kindOfTarget(
  name: string,
  arrays: readonly NamedArray[],
  loss: string | null,
  path: string,
): "classes" | "amounts" {
  const cannot = (why: string) =>
    new DataError(`cannot learn the target ${brief(name)} of ${path}: ${why}`, { path });
  const [first] = arrays;
  const isWhole = arrays.every((array) => array.kind !== "text" && isAllWhole(array));
  const amounts = loss === "mse" || loss === "mae" || loss === "binary-cross-entropy";
  if (amounts) {
    if (first.kind !== "text") return "amounts";
    throw cannot(`it is texts, and --loss ${loss} is for numbers: take cross-entropy`);
  }
  if (loss === "cross-entropy") {
    if (arrays.length > 1) throw cannot("--loss cross-entropy is for one target");
    if (first.kind === "text" || isWhole) return "classes";
    throw cannot(
      "it has numbers with fractions, and --loss cross-entropy is for classes: take mse",
    );
  }
  if (arrays.length > 1) return "amounts";
  if (first.kind === "text") {
    const texts = Array.from(first.data as readonly string[]), odd = texts.filter(isNoNumber);
    if (odd.length === 0 || odd.length >= texts.length / 2) return "classes";
    throw cannot(
      `most of it are numbers, but ${
        brief(odd[0])
      } is none: mend it, or take every value for a class with ` +
        "--loss cross-entropy",
    );
  }
  if (first.kind === "boolean") return "classes";
  if (!isWhole) return "amounts";
  const different = new Set(Array.from(first.data)).size;
  if (different <= MOST_WHOLE_CLASSES) return "classes";
  throw cannot(
    `its ${different} different whole numbers may be classes or amounts: say which, with --loss ` +
      "cross-entropy or --loss mse",
  );
}

function isNoNumber(text: string): boolean {
  return text.trim() === "" || !Number.isFinite(Number(text));
}

function isAllWhole({ kind, data }: NumberArray): boolean {
  if (kind !== "float") return true;
  for (let i = 0; i < data.length; i++) if (!Number.isInteger(data[i])) return false;
  return true;
}

/** Classes by name, and what finds their indices. */
export interface Classes {
  readonly names: readonly string[];
  /** The labels of an array. Throws DataError that names a class which is none of these. */
  labels(array: NamedArray, what: string): Uint16Array;
}

/**
 * The classes of a target. Texts are sorted; whole numbers that begin at 0 are the classes themselves, up to the
 * largest, as PyTorch takes them, and others are sorted, as scikit-learn does.
 *
 * @param target of the training data
 * @throws DataError when there are fewer than two, or too many
 */
export function classesOf(name: string, target: NamedArray, path: string): Classes {
  const cannot = (why: string) =>
    new DataError(`cannot learn the target ${brief(name)} of ${path}: ${why}`, { path });
  const values = new Set<string | number>(Array.from<string | number>(target.data));
  const numbers = [...values].filter((value) => typeof value === "number").sort((a, b) => a - b);
  const most = numbers.at(-1) ?? 0;
  const isOwn = numbers[0] === 0 && most < MOST_CLASSES;
  const sorted: (string | number)[] = target.kind === "text"
    ? [...values].sort()
    : isOwn
    ? Array.from({ length: most + 1 }, (_, i) => i)
    : numbers;
  if (values.size < 2) throw cannot(`it has one class alone, ${brief(String(sorted[0]))}`);
  if (sorted.length > MOST_CLASSES) {
    throw cannot(`it has ${sorted.length} classes, at most ${MOST_CLASSES} can be`);
  }
  const isTruth = target.kind === "boolean";
  const indices = new Map(sorted.map((value, i) => [value, i]));
  return {
    names: sorted.map((value) => isTruth ? (value ? "true" : "false") : String(value)),
    labels(array, what) {
      return Uint16Array.from({ length: array.data.length }, (_, i) => {
        const index = indices.get(array.data[i]);
        if (index !== undefined) return index;
        throw cannot(
          `sample ${i} of the ${what} data is of the class ${
            brief(String(array.data[i]))
          }, of which the ` +
            "training data has none",
        );
      });
    },
  };
}
