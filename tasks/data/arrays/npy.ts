/**
 * NumPy's `.npy` files, format versions 1 to 3 (NumPy Enhancement Proposal 1 and `numpy.lib.format`). Of the libraries
 * on npm none turns Fortran order and big-endian numbers round.
 *
 * @module
 */

/** What an array holds. */
export type ArrayKind = "float" | "whole" | "boolean";

/** Numbers in row-major order. */
export interface NumberArray {
  readonly kind: ArrayKind;
  readonly dims: readonly number[];
  /** Whole numbers of 64 bits as well: those beyond 2^53 are refused. */
  readonly data: ArrayLike<number>;
}

/** Texts, in row-major order. */
export interface TextArray {
  readonly kind: "text";
  readonly dims: readonly number[];
  readonly data: readonly string[];
}

/** Any array of a file. */
export type NamedArray = NumberArray | TextArray;

/** More elements than this are not read. */
const MOST_ELEMENTS = 2 ** 31;

/** The bytes of one element, and how they are read. */
interface ElementType {
  readonly kind: ArrayKind;
  readonly bytes: number;
  readonly array: (new (from: number | ArrayBuffer) => Numbers) & {
    readonly BYTES_PER_ELEMENT: number;
  };
  get(view: DataView, at: number, little: boolean): number;
}

type Numbers =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

const NUMBERS: Readonly<Record<string, ElementType>> = {
  f2: { kind: "float", bytes: 2, array: Float32Array, get: (v, at, le) => v.getFloat16(at, le) },
  f4: { kind: "float", bytes: 4, array: Float32Array, get: (v, at, le) => v.getFloat32(at, le) },
  f8: { kind: "float", bytes: 8, array: Float64Array, get: (v, at, le) => v.getFloat64(at, le) },
  i1: { kind: "whole", bytes: 1, array: Int8Array, get: (v, at) => v.getInt8(at) },
  i2: { kind: "whole", bytes: 2, array: Int16Array, get: (v, at, le) => v.getInt16(at, le) },
  i4: { kind: "whole", bytes: 4, array: Int32Array, get: (v, at, le) => v.getInt32(at, le) },
  i8: {
    kind: "whole",
    bytes: 8,
    array: Float64Array,
    get: (v, at, le) => exact(v.getBigInt64(at, le)),
  },
  u1: { kind: "whole", bytes: 1, array: Uint8Array, get: (v, at) => v.getUint8(at) },
  u2: { kind: "whole", bytes: 2, array: Uint16Array, get: (v, at, le) => v.getUint16(at, le) },
  u4: { kind: "whole", bytes: 4, array: Uint32Array, get: (v, at, le) => v.getUint32(at, le) },
  u8: {
    kind: "whole",
    bytes: 8,
    array: Float64Array,
    get: (v, at, le) => exact(v.getBigUint64(at, le)),
  },
  b1: {
    kind: "boolean",
    bytes: 1,
    array: Uint8Array,
    get: (v, at) => v.getUint8(at) === 0 ? 0 : 1,
  },
};

/** Whether a file in this machine's order of bytes holds what the array does. */
const isAsHere = ({ kind, bytes, array }: ElementType) =>
  LITTLE && bytes === array.BYTES_PER_ELEMENT &&
  (kind === "float" || kind === "whole" && bytes < 8);

const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function exact(whole: bigint): number {
  const number = Number(whole);
  if (Number.isSafeInteger(number)) return number;
  throw new RangeError(`it holds ${whole}, and whole numbers beyond 2^53 cannot be told apart`);
}

/**
 * Reads a `.npy` file: floats of 16, 32 and 64 bits, whole numbers with and without a sign, booleans, and texts.
 *
 * @throws RangeError that says what is wrong with it, objects (which are pickled code) and records among it
 */
export function readNpy(bytes: Uint8Array): NamedArray {
  const { descr, isFortran, dims, start } = readHead(bytes);
  const count = dims.reduce((product, length) => product * length, 1);
  if (!(count <= MOST_ELEMENTS)) {
    throw new RangeError(`its shape ${formatShape(dims)} is more than ${MOST_ELEMENTS} elements`);
  }
  const [, order, code, digits] = /^([<>|=])([a-zA-Z])(\d{0,9})$/.exec(descr) ?? [];
  const type = NUMBERS[`${code}${digits}`];
  const isText = (code === "U" || code === "S") && Number(digits) > 0;
  if (!type && !isText) {
    throw new RangeError(
      code === "O"
        ? "it holds Python objects, which are pickled code and are not run: save numbers, as with " +
          "array.astype(numpy.float32)"
        : `its elements are "${descr}"; floats, whole numbers, booleans and texts can be read`,
    );
  }
  const width = type?.bytes ?? Number(digits) * (code === "U" ? 4 : 1);
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.length - start);
  if (view.byteLength !== count * width) {
    throw new RangeError(
      `its shape ${formatShape(dims)} of "${descr}" takes ${count * width} bytes, and ` +
        `${view.byteLength} follow its head: the file is ${
          view.byteLength < count * width ? "cut off" : "damaged"
        }, save it again`,
    );
  }
  const little = order !== ">";
  const places = isFortran && dims.length > 1 ? rowMajor(dims) : null;
  if (!type) {
    const data = Array.from(
      { length: count },
      (_, i) => textAt(view, (places?.[i] ?? i) * width, width, code === "U" ? 4 : 1, little),
    );
    return { kind: "text", dims, data };
  }
  if (little && !places && isAsHere(type)) {
    const own = bytes.slice(start);
    return { kind: type.kind, dims, data: new type.array(own.buffer) };
  }
  const data = new type.array(count);
  for (let i = 0; i < count; i++) data[i] = type.get(view, (places?.[i] ?? i) * width, little);
  return { kind: type.kind, dims, data };
}

/** A shape as NumPy writes it. */
export const formatShape = (dims: readonly number[]): string =>
  `(${dims.slice(0, 12).join(", ")}${dims.length > 12 ? ", …" : dims.length === 1 ? "," : ""})`;

/** The head: what the elements are, in which order, and where they begin. */
function readHead(bytes: Uint8Array) {
  if (bytes[0] !== 0x93 || new TextDecoder().decode(bytes.subarray(1, 6)) !== "NUMPY") {
    throw new RangeError("it does not begin as a .npy file does");
  }
  const version = bytes[6], view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!(version >= 1 && version <= 3)) {
    throw new RangeError(`its format version is ${version ?? "missing"}; 1, 2 and 3 are known`);
  }
  const lengthBytes = version === 1 ? 2 : 4, begin = 8 + lengthBytes;
  const length = bytes.length < begin
    ? Infinity
    : version === 1
    ? view.getUint16(8, true)
    : view.getUint32(8, true);
  const start = begin + length;
  if (start > bytes.length) throw new RangeError("its head is cut off: save it again");
  const head = new TextDecoder(version === 3 ? "utf-8" : "latin1").decode(
    bytes.subarray(begin, start),
  );
  const field = (name: string, value: string) =>
    new RegExp(`['"]${name}['"]\\s*:\\s*${value}`).exec(head)?.[1];
  const descr = field("descr", `['"]([^'"]{0,40})['"]`);
  const fortran = field("fortran_order", "(True|False)");
  const shape = field("shape", "\\(((?:\\s*\\d{1,15}\\s*,?)*)\\s*\\)");
  if (descr === undefined && /['"]descr['"]\s*:\s*\[/.test(head)) {
    throw new RangeError(
      "its elements are records of several fields: save each field as an array of its own",
    );
  }
  if (descr === undefined || fortran === undefined || shape === undefined) {
    throw new RangeError(
      "its head does not say descr, fortran_order and shape as NumPy writes them",
    );
  }
  const dims = shape.split(",").map((part) => part.trim()).filter((part) => part !== "").map(
    Number,
  );
  return { descr, isFortran: fortran === "True", dims, start };
}

/** Where, in a file that goes down the columns first, the elements in row-major order lie. */
function rowMajor(dims: readonly number[]): Uint32Array {
  const count = dims.reduce((product, length) => product * length, 1);
  const places = new Uint32Array(count), strides: number[] = [];
  let stride = 1;
  for (const length of dims) {
    strides.push(stride);
    stride *= length;
  }
  const index = dims.map(() => 0);
  for (let i = 0, place = 0; i < count; i++) {
    places[i] = place;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      place += strides[axis];
      if (++index[axis] < dims[axis]) break;
      place -= strides[axis] * dims[axis];
      index[axis] = 0;
    }
  }
  return places;
}

/** A text of fixed width, without the zeros that fill it up. */
function textAt(view: DataView, at: number, width: number, unit: 1 | 4, little: boolean): string {
  const points: number[] = [];
  for (let i = 0; i < width; i += unit) {
    const point = unit === 1 ? view.getUint8(at + i) : view.getUint32(at + i, little);
    if (point > 0x10ffff) throw new RangeError(`its text holds ${point}, which is no character`);
    points.push(point);
  }
  while (points.at(-1) === 0) points.pop();
  if (unit === 1) return new TextDecoder().decode(Uint8Array.from(points));
  return points.map((point) => String.fromCodePoint(point)).join("");
}
