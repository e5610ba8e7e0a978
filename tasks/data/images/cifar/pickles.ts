/**
 * The authors' Python version: dictionaries pickled by Python 2 (or written again by Python 3), whose `data` is
 * a NumPy array uint8 `[images, 3072]`. A pickle is a program; of what it may call, only the making of arrays is
 * known here, and anything else is refused.
 *
 * @module
 */

import { loadPickleParser } from "../../../../deps.ts";
import { checkLabels, type CifarForm, filesIn } from "./form.ts";
import { decoding } from "../../damaged.ts";
import { IMAGE_BYTES } from "../image_data_set.ts";

/** The Python version. */
export const PICKLES: CifarForm = {
  title: "the Python version",
  find: (names, { pickles }) => filesIn(names, pickles),

  async images(bytes, kind) {
    const { labels: key } = kind.pickles, all = await readDictionary(bytes);
    const data = all.get("data"), labels = all.get(key);
    if (!(data instanceof NdArray)) {
      throw new Error(`must have an array "data", found ${keysOf(all)}`);
    }
    if (!Array.isArray(labels)) throw new Error(`must have a list "${key}", found ${keysOf(all)}`);
    const { shape } = data, pixels = data.bytes();
    if (shape.length !== 2 || shape[1] !== IMAGE_BYTES || shape[0] < 1) {
      throw new Error(`must have "data" of the shape [images, ${IMAGE_BYTES}], found [${shape}]`);
    }
    if (labels.length !== shape[0]) {
      throw new Error(`has ${labels.length} labels for ${shape[0]} images; the file is altered`);
    }
    checkLabels(labels, kind);
    return { pixels, labels: Uint8Array.from(labels) };
  },

  async classes(bytes, { pickles }) {
    const names = (await readDictionary(bytes)).get(pickles.classes);
    if (!Array.isArray(names)) throw new Error(`must have a list "${pickles.classes}"`);
    return names.map(textOf);
  },
};

const keysOf = (all: ReadonlyMap<string, unknown>) => [...all.keys()].join(", ") || "nothing";

/** What was a string in Python: a text, or the bytes of one. */
const textOf = (value: unknown): string =>
  value instanceof Uint8Array ? new TextDecoder("latin1").decode(value) : String(value);

/** An array as NumPy pickles it. */
class NdArray {
  shape: readonly number[] = [];
  #type: unknown;
  #fortran: unknown;
  #data: unknown;

  /** `(version, shape, dtype, is it in Fortran's order, data)` */
  __setstate__([, shape, type, fortran, data]: readonly unknown[]): void {
    this.shape = Array.isArray(shape) ? shape.map(Number) : [];
    [this.#type, this.#fortran, this.#data] = [type, fortran, data];
  }

  /** What is in an array of bytes. */
  bytes(): Uint8Array {
    if (!(this.#type instanceof DType) || !/^\|?u1$/.test(this.#type.name)) {
      throw new Error("must have an array of bytes (uint8)");
    }
    if (this.#fortran) throw new Error("must have an array in C's order, not in Fortran's");
    const data = typeof this.#data === "string" ? bytesOf(this.#data) : this.#data;
    const size = this.shape.reduce((a, b) => a * b, 1);
    if (data instanceof Uint8Array && data.length === size) return data;
    throw new Error(`has an array of ${size} bytes with other data than those`);
  }
}

/** A type of numbers. */
class DType {
  constructor(readonly name: string) {}
  /** Byte order and such, which one byte has none of. */
  __setstate__(): void {}
}

/** Python 2's strings are bytes, which the parser has decoded as the web decodes "ascii": each to one character. */
function bytesOf(text: string): Uint8Array {
  const each = new TextDecoder("ascii").decode(Uint8Array.from({ length: 256 }, (_, i) => i));
  const codes = new Map([...each].map((character, code) => [character.charCodeAt(0), code]));
  return Uint8Array.from({ length: text.length }, (_, i) => codes.get(text.charCodeAt(i))!);
}

/** What a pickle may call. */
const CALLS: Readonly<Record<string, (...args: unknown[]) => unknown>> = {
  "numpy.ndarray": () => null, // the first argument of _reconstruct
  "numpy.core.multiarray._reconstruct": () => new NdArray(),
  "numpy._core.multiarray._reconstruct": () => new NdArray(),
  "numpy.dtype": (name) => new DType(textOf(name)),
  // Bytes in the protocols that have none: a text whose characters are their values.
  "_codecs.encode": (text) => Uint8Array.from(String(text), (c) => c.charCodeAt(0)),
  "numpy.core.numeric._frombuffer": frombuffer,
  "numpy._core.numeric._frombuffer": frombuffer,
};

/** How protocol 5 makes an array. */
function frombuffer(...[data, type, shape, order]: unknown[]): NdArray {
  const array = new NdArray();
  array.__setstate__([1, shape, type, order === "F", data]);
  return array;
}

/** The dictionary in a pickle, its keys as texts. */
async function readDictionary(bytes: Uint8Array): Promise<Map<string, unknown>> {
  const { Parser } = await loadPickleParser();
  const resolve = (module: string, name: string) => {
    const call = Object.hasOwn(CALLS, `${module}.${name}`) ? CALLS[`${module}.${name}`] : undefined;
    if (call) return call;
    throw new Error(
      `asks for ${module}.${name}, which no file of this data set needs; it is not read`,
    );
  };
  const parser = new Parser({ nameResolver: { resolve }, unpicklingTypeOfDictionary: "Map" });
  const value = await decoding<unknown>("pickle", () => parser.parse(bytes)).catch((cause) => {
    throw new Error(`cannot be unpickled: ${cause.message}`, { cause });
  });
  if (!(value instanceof Map)) throw new Error("must be a pickled dictionary");
  return new Map([...value].map(([key, each]) => [textOf(key), each]));
}
