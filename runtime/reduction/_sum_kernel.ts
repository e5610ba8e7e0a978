/**
 * A WebAssembly SIMD kernel that sums N float32 inputs in the order of ranks, in float64, rounding
 * once: the same bits as `foldInputs`, several times as fast. Written out here instruction by
 * instruction (WebAssembly core specification 2.0, chapter 5), since that is shorter than a toolchain.
 *
 * @module
 */

/** Floats summed in one pass of the kernel's loop; lengths are rounded up to a multiple of it. */
export const KERNEL_FLOATS = 16;

/**
 * Sums `inputs` float32 arrays.
 *
 * @param table address of their addresses, as u32
 * @param inputs how many there are, at least 1
 * @param out address of the result; may be that of an input
 * @param bytes length of each in bytes, a positive multiple of 4 × {@linkcode KERNEL_FLOATS}
 */
export type SumKernel = (table: number, inputs: number, out: number, bytes: number) => void;

/** Unsigned LEB128. */
function u32(value: number): number[] {
  const bytes = [];
  do {
    const low = value & 0x7f;
    value >>>= 7;
    bytes.push(value === 0 ? low : low | 0x80);
  } while (value !== 0);
  return bytes;
}

const vector = (items: number[][]) => [...u32(items.length), ...items.flat()];
const section = (id: number, content: number[]) => [id, ...u32(content.length), ...content];
const name = (text: string) => vector([...text].map((letter) => [letter.charCodeAt(0)]));

const I32 = 0x7f, V128 = 0x7b, VOID = 0x40;
const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
const constant = (value: number) => [0x41, value]; // −64 ≤ value < 64
const add = [0x6a], shiftLeft = [0x74], lessThan = [0x49], not = [0x45], loadI32 = [0x28, 2, 0];
const loop = [0x03, VOID], block = [0x02, VOID], end = [0x0b];
const branch = (depth: number) => [0x0c, depth];
const branchIf = (depth: number) => [0x0d, depth];
const simd = (opcode: number, ...immediates: number[]) => [0xfd, ...u32(opcode), ...immediates];
/** Loads two floats into the low half. */
const loadPair = (offset: number) => simd(0x5d, 3, offset);
/** Stores the low half. */
const storePair = (offset: number) => simd(0x5b, 3, offset, 0);
const widen = simd(0x5f), round = simd(0x5e), addWide = simd(0xf0);

/** The kernel's body: parameters are locals 0 to 3, then i32 locals, then accumulators. */
function body(): number[] {
  const [table, inputs, out, bytes, offset, entry, tableEnd, input] = [0, 1, 2, 3, 4, 5, 6, 7];
  const pairs = Array.from({ length: KERNEL_FLOATS / 2 }, (_, i) => ({ acc: 8 + i, at: 8 * i }));
  const addressOfInput = [...get(entry), ...loadI32, ...get(offset), ...add, ...set(input)];
  return [
    // tableEnd = table + 4 · inputs
    ...[...get(table), ...get(inputs), ...constant(2), ...shiftLeft, ...add, ...set(tableEnd)],
    ...loop, // over the elements, KERNEL_FLOATS at a time
    ...[...get(table), ...set(entry), ...addressOfInput],
    ...pairs.flatMap(({ acc, at }) => [...get(input), ...loadPair(at), ...widen, ...set(acc)]),
    ...block,
    ...loop, // over the other inputs, unless there are none
    ...[...get(entry), ...constant(4), ...add, ...set(entry)],
    ...[...get(entry), ...get(tableEnd), ...lessThan, ...not, ...branchIf(1)],
    ...addressOfInput,
    ...pairs.flatMap(({ acc, at }) => [
      ...[...get(acc), ...get(input), ...loadPair(at), ...widen, ...addWide, ...set(acc)],
    ]),
    ...branch(0),
    ...end,
    ...end,
    ...pairs.flatMap(({ acc, at }) => [
      ...[...get(out), ...get(offset), ...add, ...get(acc), ...round, ...storePair(at)],
    ]),
    // offset += 4 · KERNEL_FLOATS, again while offset < bytes
    ...[...get(offset), ...constant(32), ...add, ...constant(32), ...add, ...set(offset)],
    ...[...get(offset), ...get(bytes), ...lessThan, ...branchIf(0)],
    ...end,
    ...end,
  ];
}

/** The bytes of the module: imports `env.memory`, exports `sum`. */
function assemble(): Uint8Array<ArrayBuffer> {
  const locals = vector([[4, I32], [KERNEL_FLOATS / 2, V128]]);
  const code = [...locals, ...body()];
  return Uint8Array.of(
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector([[0x60, ...vector([[I32], [I32], [I32], [I32]]), ...vector([])]])),
    ...section(2, vector([[...name("env"), ...name("memory"), 0x02, 0x00, 0]])),
    ...section(3, vector([[0]])),
    ...section(7, vector([[...name("sum"), 0x00, 0]])),
    ...section(10, vector([[...u32(code.length), ...code]])),
  );
}

let compiled: WebAssembly.Module | undefined;

/** The kernel on a memory. */
export function sumKernel(memory: WebAssembly.Memory): SumKernel {
  compiled ??= new WebAssembly.Module(assemble());
  return new WebAssembly.Instance(compiled, { env: { memory } }).exports.sum as SumKernel;
}
