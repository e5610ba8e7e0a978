/**
 * Writes WebAssembly modules: functions of i32 parameters on one imported memory, as lists of instructions.
 * (WebAssembly core specification 2.0, chapter 5; vector instructions in section 5.4.9.)
 *
 * @module
 */

/** Instructions, as bytes. */
export type Code = readonly number[];

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

/** Signed LEB128. */
function i32(value: number): number[] {
  const bytes = [];
  for (;;) {
    const low = value & 0x7f;
    value >>= 7;
    if (value === (low & 0x40 ? -1 : 0)) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}

const vector = (items: readonly Code[]) => [...u32(items.length), ...items.flat()];
const section = (id: number, content: Code) => [id, ...u32(content.length), ...content];
const name = (text: string) => vector([...text].map((letter) => [letter.charCodeAt(0)]));

const I32 = 0x7f, V128 = 0x7b, VOID = 0x40;

/** What a function may be made of. Addresses are i32; vectors have 128 bits. */
export const op = {
  get: (local: number): Code => [0x20, ...u32(local)],
  set: (local: number): Code => [0x21, ...u32(local)],
  tee: (local: number): Code => [0x22, ...u32(local)],
  /** An i32. */
  constant: (value: number): Code => [0x41, ...i32(value)],
  add: [0x6a] as Code,
  lessThan: [0x49] as Code,
  /** Does `body` again while the i32 that it leaves behind is not zero. */
  repeat: (...body: Code[]): Code => [0x03, VOID, ...body.flat(), 0x0d, 0, 0x0b],
  /** Does `body` if the i32 on the stack is not zero. */
  when: (...body: Code[]): Code => [0x04, VOID, ...body.flat(), 0x0b],
  /** An f32 at an address, and back; `align` is log₂ of what the address is a multiple of. */
  loadF32: [0x2a, 2, 0] as Code,
  storeF32: [0x38, 2, 0] as Code,
  divideF32: [0x95] as Code,
  lessThanF32: [0x5d] as Code,
  constantF32: (value: number): Code => [0x43, ...new Uint8Array(Float32Array.of(value).buffer)],
  /** A vector instruction. */
  simd: (opcode: number, ...immediates: number[]): Code => [0xfd, ...u32(opcode), ...immediates],
  /** A vector at an address, so many bytes behind it. */
  load: (offset = 0): Code => [0xfd, 0x00, 0, ...u32(offset)],
  store: (offset = 0): Code => [0xfd, 0x0b, 0, ...u32(offset)],
  /** The low half of a vector. */
  storeHalf: (offset = 0): Code => [0xfd, 0x5b, 0, ...u32(offset), 0],
  /** Loads 8 bytes into the low half of a vector. */
  loadHalf: (offset = 0): Code => [0xfd, 0x5d, 0, ...u32(offset)],
  /** Four times the same 32 bits. */
  splat: (bits: number): Code => [0x41, ...i32(bits | 0), 0xfd, 0x11],
} as const;

/** A function of a module. All its parameters are i32; it returns nothing, or an i32. */
export interface Kernel {
  readonly name: string;
  readonly parameters: number;
  /** i32 locals, behind the parameters. */
  readonly integers: number;
  /** Vector locals, behind those. */
  readonly vectors: number;
  /** Whether it returns what the body leaves behind. @default {false} */
  readonly returns?: boolean;
  readonly body: readonly Code[];
}

/** The functions of a module on a memory. */
export type Kernels = Readonly<Record<string, (...parameters: number[]) => number>>;

/** Makes functions that work on a memory. */
export function assemble(kernels: readonly Kernel[], memory: WebAssembly.Memory): Kernels {
  const types = kernels.map(({ parameters, returns }) => [
    ...[0x60, ...vector(new Array(parameters).fill([I32]))],
    ...vector(returns ? [[I32]] : []),
  ]);
  const functions = kernels.map(({ integers, vectors, body }) => {
    const code = [
      ...vector([[...u32(integers), I32], [...u32(vectors), V128]]),
      ...body.flat(),
      0x0b,
    ];
    return [...u32(code.length), ...code];
  });
  const module = new WebAssembly.Module(Uint8Array.of(
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(types)),
    ...section(2, vector([[...name("env"), ...name("memory"), 0x02, 0x00, 0]])),
    ...section(3, vector(kernels.map((_, i) => u32(i)))),
    ...section(7, vector(kernels.map((kernel, i) => [...name(kernel.name), 0x00, ...u32(i)]))),
    ...section(10, vector(functions)),
  ));
  return new WebAssembly.Instance(module, { env: { memory } }).exports as Kernels;
}
