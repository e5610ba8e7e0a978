/**
 * Arithmetic on whole tiles: what stands between the codecs in a compressed reduction.
 *
 * @module
 */

import { type Code, type Kernel, op } from "./_assembler.ts";

const [from, to, end] = [0, 1, 2], count = 3;
const widen = op.simd(0x5f), round = op.simd(0x5e), addWide = op.simd(0xf0);
const and = op.simd(0x4e), isAtLeast = op.simd(0x3f), subtractIntegers = op.simd(0xb1);
const extract = (of: number) => op.simd(0x1b, of);

/** Numbers that a kernel takes at once; lengths are multiples of it. */
const STEP = 16;

const advance = (local: number, bytes: number) => [
  ...[...op.get(local), ...op.constant(bytes), ...op.add, ...op.set(local)],
];
const offsets = (bytes: number) => Array.from({ length: 4 * STEP / bytes }, (_, i) => bytes * i);

/** From numbers of `read` bytes at one address to numbers of `written` bytes at another, to an end of these. */
function overAll(name: string, [read, written]: readonly number[], each: Code): Kernel {
  return {
    name,
    parameters: 3,
    integers: 0,
    vectors: 0,
    body: [op.repeat(
      each,
      advance(from, read * STEP),
      advance(to, written * STEP),
      [...op.get(to), ...op.get(end), ...op.lessThan],
    )],
  };
}

const elementwise = (name: string, opcode: number) =>
  overAll(
    name,
    [4, 4],
    offsets(16).flatMap((at) => [
      ...[...op.get(to), ...op.get(to), ...op.load(at), ...op.get(from), ...op.load(at)],
      ...[...op.simd(opcode), ...op.store(at)],
    ]),
  );

/** How many lanes hold a magnitude whose bits are at least a number: of values, to an end, that number. */
const countAtLeast: Kernel = {
  name: "countAtLeast",
  parameters: 3,
  integers: 0,
  vectors: 1,
  returns: true,
  body: [
    op.repeat(
      ...offsets(16).map((at) => [
        ...[...op.get(count), ...op.get(0), ...op.load(at), ...op.splat(0x7fffffff), ...and],
        ...[...op.get(2), ...op.simd(0x11), ...isAtLeast, ...subtractIntegers, ...op.set(count)],
      ]),
      advance(0, 4 * STEP),
      [...op.get(0), ...op.get(1), ...op.lessThan],
    ),
    [...op.get(count), ...extract(0), ...op.get(count), ...extract(1), ...op.add],
    [...op.get(count), ...extract(2), ...op.add, ...op.get(count), ...extract(3), ...op.add],
  ],
};

/** The kernels, by the names under which they are exported. */
export const ARITHMETIC: readonly Kernel[] = [
  /** to += from, in float32. */
  elementwise("add", 0xe4),
  /** to −= from, in float32. */
  elementwise("subtract", 0xe5),
  /** Float64 at `to` become the float32 at `from`. */
  overAll(
    "widen",
    [4, 8],
    offsets(8).flatMap((at) => [
      ...[...op.get(to), ...op.get(from), ...op.loadHalf(at), ...widen, ...op.store(2 * at)],
    ]),
  ),
  /** And are added to. */
  overAll(
    "accumulate",
    [4, 8],
    offsets(8).flatMap((at) => [
      ...[...op.get(to), ...op.get(to), ...op.load(2 * at)],
      ...[...op.get(from), ...op.loadHalf(at), ...widen, ...addWide, ...op.store(2 * at)],
    ]),
  ),
  /** And are rounded to float32. */
  overAll(
    "round",
    [8, 4],
    offsets(8).flatMap((at) => [
      ...[...op.get(to), ...op.get(from), ...op.load(2 * at), ...round, ...op.storeHalf(at)],
    ]),
  ),
  countAtLeast,
];
