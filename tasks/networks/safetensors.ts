/**
 * The safetensors format: named tensors in one file, readable by most frameworks. Eight bytes with the
 * length of a header, the header as JSON, then the tensors' bytes, little-endian and without gaps
 * (https://github.com/huggingface/safetensors, "Format"). Only float32 is written here; other types of numbers
 * are read where that is asked for.
 *
 * @module
 */

/** A float32 tensor by name, row major. */
export interface NamedTensor {
  /** Unique in its file. */
  readonly name: string;
  /** Its shape; empty for a scalar. */
  readonly dims: readonly number[];
  /** As many elements as the product of `dims`. */
  readonly data: Float32Array;
}

/** What a file holds. */
export interface TensorFile {
  /** In the order of their bytes. */
  readonly tensors: readonly NamedTensor[];
  /** Free text by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Bytes that are no safetensors file, or hold what is not read here. */
export class SafetensorsError extends Error {
  /** The name of the class. */
  override readonly name = "SafetensorsError";
}

/** The format's own limit on the header, in bytes. */
const MOST_HEADER = 100_000_000;

/** The name under which a file keeps its text: no tensor can have it. */
export const METADATA = "__metadata__";

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/**
 * Writes tensors as a file's bytes.
 *
 * @throws RangeError when a name occurs twice or a tensor's elements do not fit its shape
 */
export function encodeSafetensors({ tensors, metadata }: TensorFile): Uint8Array<ArrayBuffer> {
  const header: Record<string, Entry | Record<string, string>> = Object.create(null);
  header[METADATA] = { ...metadata };
  let end = 0;
  for (const { name, dims, data } of tensors) {
    if (name === METADATA) {
      throw new RangeError(`no tensor can be named "${METADATA}": the format keeps its text there`);
    }
    if (Object.hasOwn(header, name)) throw new RangeError(`two tensors are named "${name}"`);
    const size = dims.reduce((a, b) => a * b, 1);
    if (size !== data.length) {
      throw new RangeError(`${name} of shape [${dims}] needs ${size} floats, not ${data.length}`);
    }
    const data_offsets: [number, number] = [end, end += 4 * size];
    header[name] = { dtype: "F32", shape: [...dims], data_offsets };
  }
  // Spaces after the header keep the tensors' bytes aligned, as the reference does.
  const text = JSON.stringify(header);
  const json = new TextEncoder().encode(text);
  const length = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(8 + length + end).fill(0x20, 8, 8 + length);
  new DataView(file.buffer).setBigUint64(0, BigInt(length), true);
  file.set(json, 8);
  let at = 8 + length;
  for (const { data } of tensors) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** How to read a file. */
export interface DecodeOptions {
  /** Whether tensors of other types of numbers become float32; else they are refused. @default {false} */
  readonly convert?: boolean;
}

/**
 * Reads a file's bytes.
 *
 * @throws SafetensorsError when they are not a whole safetensors file, or hold tensors of types that are not
 * asked for
 */
export function decodeSafetensors(
  file: Uint8Array,
  { convert = false }: DecodeOptions = {},
): TensorFile {
  const types = convert ? Object.keys(READERS) : ["F32"];
  const refuse = (fault: string): never => {
    const what = convert ? "" : " of float32 tensors";
    throw new SafetensorsError(`not a whole safetensors file${what}: ${fault}`);
  };
  if (file.length < 8) return refuse(`${file.length} bytes`);
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  if (length > Math.min(file.length - 8, MOST_HEADER)) {
    return refuse(`a header of ${length} bytes in a file of ${file.length}`);
  }
  let header: unknown;
  try {
    header = JSON.parse(
      new TextDecoder("utf-8", { fatal: true }).decode(file.subarray(8, 8 + length)),
    );
  } catch {
    return refuse("its header is no JSON");
  }
  if (!isRecord(header)) return refuse("its header is no JSON object");
  const { [METADATA]: metadata = {}, ...entries } = header;
  if (!isRecord(metadata) || Object.values(metadata).some((text) => typeof text !== "string")) {
    return refuse(`its ${METADATA} is no text by name`);
  }
  const bytes = file.subarray(8 + length);
  let end = 0;
  const tensors = Object.entries(entries)
    .map(([name, entry]) => [name, isRecord(entry) ? entry as Partial<Entry> : {}] as const)
    .sort(([, a], [, b]) => {
      // One of no elements may begin where another does, and comes before it.
      const at = (i: 0 | 1) => Number(a.data_offsets?.[i]) - Number(b.data_offsets?.[i]);
      return at(0) || at(1);
    })
    .map(([name, { dtype = "", shape = [], data_offsets }]) => {
      if (!types.includes(dtype)) refuse(`${name} is of type ${dtype}`);
      const [width, read] = READERS[dtype];
      const whole = Array.isArray(shape) &&
        shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0);
      const size = whole ? width * shape.reduce((a, b) => a * b, 1) : NaN;
      const [from, to] = Array.isArray(data_offsets) ? data_offsets : [NaN, NaN];
      if (from !== end || to !== end + size || to > bytes.length) {
        refuse(
          `${name} of shape ${JSON.stringify(shape)} lies at ${
            JSON.stringify(data_offsets) ?? "no place"
          } of ` +
            `${bytes.length} bytes`,
        );
      }
      end = to;
      // A copy, because a view of wider numbers must begin at a multiple of their width.
      return { name, dims: shape, data: read(bytes.slice(from, to).buffer) };
    });
  if (end !== bytes.length) refuse(`${bytes.length - end} bytes beyond the last tensor`);
  return { tensors, metadata: metadata as Record<string, string> };
}

/** Bytes of an element, and how elements become float32, by the format's name of their type. */
const READERS: Readonly<
  Record<string, readonly [number, (bytes: ArrayBuffer) => Float32Array<ArrayBuffer>]>
> = {
  F32: [4, (bytes) => new Float32Array(bytes)],
  F64: [8, (bytes) => Float32Array.from(new Float64Array(bytes))],
  F16: [2, (bytes) => Float32Array.from(new Float16Array(bytes))],
  // The upper half of a float32.
  BF16: [2, (bytes) => {
    const bits = Uint32Array.from(new Uint16Array(bytes), (half) => half << 16);
    return new Float32Array(bits.buffer);
  }],
  I64: [8, (bytes) => Float32Array.from(new BigInt64Array(bytes), Number)],
  I32: [4, (bytes) => Float32Array.from(new Int32Array(bytes))],
  I16: [2, (bytes) => Float32Array.from(new Int16Array(bytes))],
  I8: [1, (bytes) => Float32Array.from(new Int8Array(bytes))],
  U8: [1, (bytes) => Float32Array.from(new Uint8Array(bytes))],
  BOOL: [1, (bytes) => Float32Array.from(new Uint8Array(bytes))],
};
