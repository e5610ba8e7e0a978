/** Files of NumPy's format, made here. */

import { loadZip } from "../../deps.ts";

/** Bytes of a `.npy` file. */
export function encodeNpy(
  descr: string,
  dims: readonly number[],
  data: Uint8Array,
  { fortran = false, version = 1 } = {},
): Uint8Array<ArrayBuffer> {
  const shape = dims.length === 1 ? `(${dims[0]},)` : `(${dims.join(", ")})`;
  const head = `{'descr': '${descr}', 'fortran_order': ${fortran ? "True" : "False"}, ` +
    `'shape': ${shape}, }`;
  const before = version === 1 ? 10 : 12, length = Math.ceil((before + head.length + 1) / 64) * 64;
  const bytes = new Uint8Array(length + data.length), view = new DataView(bytes.buffer);
  bytes.set([0x93, ...new TextEncoder().encode("NUMPY"), version, 0]);
  if (version === 1) view.setUint16(8, length - before, true);
  else view.setUint32(8, length - before, true);
  bytes.fill(32, before).set(new TextEncoder().encode(head), before);
  bytes[length - 1] = 10;
  bytes.set(data, length);
  return bytes;
}

const bytesOf = ({ buffer }: { buffer: ArrayBuffer }) => new Uint8Array(buffer);

/** An array of float32. */
export const floats = (dims: readonly number[], data: Iterable<number>) =>
  encodeNpy("<f4", dims, bytesOf(Float32Array.from(data)));

/** An array of int64. */
export const wholes = (dims: readonly number[], data: Iterable<number>) =>
  encodeNpy("<i8", dims, bytesOf(BigInt64Array.from([...data].map(BigInt))));

/** An `.npz` file. */
export async function encodeNpz(
  arrays: Readonly<Record<string, Uint8Array>>,
): Promise<Uint8Array<ArrayBuffer>> {
  const { zipSync } = await loadZip();
  const entries = Object.entries(arrays).map(([name, bytes]) => [`${name}.npy`, bytes]);
  return new Uint8Array(zipSync(Object.fromEntries(entries)));
}
