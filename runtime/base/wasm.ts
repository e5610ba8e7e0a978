/**
 * As much of an assembler of WebAssembly as the kernels need: functions that put instructions together,
 * operands before their operator (WebAssembly core specification 2.0, chapters 5.3 to 5.5). Kernels are
 * written out with them, since that is shorter than a toolchain.
 *
 * @module
 */

/** Encoded instructions; an expression leaves one value. */
export type Code = readonly number[];

/** Value types. */
export const I32 = 0x7f, I64 = 0x7e, F64 = 0x7c, V128 = 0x7b;
const VOID = 0x40;

/** Unsigned LEB128. */
function unsigned(value: number): number[] {
  const bytes = [];
  do {
    const low = value & 0x7f;
    value >>>= 7;
    bytes.push(value === 0 ? low : low | 0x80);
  } while (value !== 0);
  return bytes;
}

/** Signed LEB128. */
function signed(value: bigint): number[] {
  const bytes = [];
  for (;; value >>= 7n) {
    const low = Number(value & 0x7fn), rest = value >> 7n;
    const isLast = rest === (low & 0x40 ? -1n : 0n);
    bytes.push(isLast ? low : low | 0x80);
    if (isLast) return bytes;
  }
}

const op = (...opcode: number[]) => (...operands: Code[]): Code => [...operands.flat(), ...opcode];
const vectorOp = (opcode: number) => op(0xfd, ...unsigned(opcode));
/** A load or store: operands, of which the address is the first, and an offset in bytes. */
const access = (...opcode: number[]) => (offset: number, ...operands: Code[]): Code => [
  ...operands.flat(),
  ...[...opcode, 0, ...unsigned(offset)], // 0: aligned to 2⁰ bytes, as far as is promised
];
const vectorAccess = (opcode: number) => access(0xfd, ...unsigned(opcode));

export const get = (local: number): Code => [0x20, local];
export const set = (local: number, value: Code): Code => [...value, 0x21, local];
/** Takes a value that a call has left. */
export const pop = (local: number): Code => [0x21, local];
export const add = (local: number, value: Code): Code => set(local, i32.add(get(local), value));
/** Runs `body` again and again while `condition` is other than 0 after it. */
export const repeat = (body: Code[], condition: Code): Code => [
  ...[0x03, VOID, ...body.flat(), ...condition],
  ...[0x0d, 0, 0x0b],
];
export const when = (condition: Code, then: Code[], otherwise: Code[] = []): Code => [
  ...[...condition, 0x04, VOID, ...then.flat()],
  ...(otherwise.length > 0 ? [0x05, ...otherwise.flat()] : []),
  0x0b,
];
export const leave = (...values: Code[]): Code => [...values.flat(), 0x0f];
export const call = (index: number, ...operands: Code[]): Code => [...operands.flat(), 0x10, index];
/** Copies bytes: to, from, how many. */
export const copy = op(0xfc, 10, 0, 0);
/** Sets bytes: from where on, to what, how many. */
export const fill = op(0xfc, 11, 0);
/** `a` if `condition` is other than 0, else `b`. */
export const choose = (condition: Code, a: Code, b: Code): Code => [...a, ...b, ...condition, 0x1b];

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(BigInt(value))],
  load: access(0x28),
  load8: access(0x2d),
  load16: access(0x2f),
  store: access(0x36),
  store8: access(0x3a),
  store16: access(0x3b),
  isZero: op(0x45),
  leadingZeros: op(0x67),
  trailingZeros: op(0x68),
  equal: op(0x46),
  less: op(0x48),
  greater: op(0x4a),
  below: op(0x49),
  above: op(0x4b),
  add: op(0x6a),
  subtract: op(0x6b),
  multiply: op(0x6c),
  and: op(0x71),
  or: op(0x72),
  xor: op(0x73),
  shiftLeft: op(0x74),
  /** The sign comes in. */
  shiftRightSigned: op(0x75),
  /** Zeros come in. */
  shiftRight: op(0x76),
  fromI64: op(0xa7),
  /** Truncates a float64 that fits. */
  fromSignedF64: op(0xaa),
  /** Truncates a float64 that fits an unsigned number. */
  fromF64: op(0xab),
};

export const i64 = {
  const: (value: number): Code => [0x42, ...signed(BigInt(value))],
  load: access(0x29),
  isZero: op(0x50),
  trailingZeros: op(0x7a),
  ones: op(0x7b),
  subtract: op(0x7d),
  and: op(0x83),
  or: op(0x84),
  shiftLeft: op(0x86),
  shiftRight: op(0x88),
  fromI32: op(0xad),
  bits: op(0xbd),
};

export const f32 = {
  store: access(0x38),
  multiply: op(0x94),
  fromI32: op(0xb2),
  fromBits: op(0xbe),
};

export const f64 = {
  const: (value: number): Code => [0x44, ...new Uint8Array(Float64Array.of(value).buffer)],
  load: access(0x2b),
  store: access(0x39),
  add: op(0xa0),
  multiply: op(0xa2),
  max: op(0xa5),
  fromI32: op(0xb8),
  fromBits: op(0xbf),
};

/** 128 bits, as four float32 or int32, or two float64. */
export const v128 = {
  const: (...bytes: number[]): Code => [0xfd, 12, ...bytes],
  load: vectorAccess(0),
  /** Loads 8 bytes into the low half. */
  loadHalf: vectorAccess(93),
  store: vectorAccess(11),
  /** Stores the low half. */
  storeHalf: (offset: number, ...operands: Code[]): Code => [
    ...vectorAccess(91)(offset, ...operands),
    0,
  ],
  /** Picks 16 of the bytes of two vectors. */
  shuffle: (a: Code, b: Code, ...bytes: number[]): Code => [...a, ...b, 0xfd, 13, ...bytes],
  and: vectorOp(78),
  or: vectorOp(80),
  xor: vectorOp(81),
  /** Each bit of `a` where that of `mask` is set, else of `b`. */
  select: (a: Code, b: Code, mask: Code): Code => [...a, ...b, ...mask, 0xfd, 82],
};

/** What is narrowed is kept within the narrower type; `narrowUnsigned` is to an unsigned one. */
export const i8x16 = {
  bitmask: vectorOp(100),
  narrow: vectorOp(101),
  narrowUnsigned: vectorOp(102),
  subtract: vectorOp(113),
  min: vectorOp(118),
  max: vectorOp(120),
};
export const i16x8 = {
  narrow: vectorOp(133),
  narrowUnsigned: vectorOp(134),
  fromLowI8: vectorOp(135),
  fromHighI8: vectorOp(136),
  fromLowU8: vectorOp(137),
  shiftLeft: vectorOp(139),
  shiftRight: vectorOp(141),
};
export const i32x4 = {
  splat: vectorOp(17),
  greater: vectorOp(59),
  fromLowI16: vectorOp(167),
  fromHighI16: vectorOp(168),
  fromLowU16: vectorOp(169),
  fromHighU16: vectorOp(170),
  shiftLeft: vectorOp(171),
  /** Zeros come in. */
  shiftRight: vectorOp(173),
  add: vectorOp(174),
  /** Truncates; NaN becomes 0, and what is too large the largest. */
  fromF32: vectorOp(248),
  extract: (value: Code, place: number): Code => [...value, 0xfd, 27, place],
  bitmask: vectorOp(164),
  subtract: vectorOp(177),
  /** Of unsigned numbers. */
  min: vectorOp(183),
  /** Of unsigned numbers. */
  max: vectorOp(185),
};
export const i64x2 = { equal: vectorOp(214) };
export const f32x4 = {
  greater: vectorOp(68),
  /** The nearest integer, ties to even. */
  nearest: vectorOp(106),
  add: vectorOp(228),
  subtract: vectorOp(229),
  multiply: vectorOp(230),
  divide: vectorOp(231),
  fromI32: vectorOp(250),
  equal: vectorOp(65),
  unequal: vectorOp(66),
  /** Rounds two float64 to the low half. */
  fromF64: vectorOp(94),
};
export const f64x2 = {
  splat: vectorOp(20),
  extract: (value: Code, place: number): Code => [...value, 0xfd, 33, place],
  unequal: vectorOp(72),
  /** Of the low half. */
  fromF32: vectorOp(95),
  /** Of the low half. */
  fromI32: vectorOp(254),
  floor: vectorOp(117),
  abs: vectorOp(236),
  add: vectorOp(240),
  subtract: vectorOp(241),
  multiply: vectorOp(242),
  /** Of numbers; what comes of a NaN is not said. */
  max: vectorOp(247),
};

/** Several locals of one type, one after the other: the number of each. */
export function localsOf(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

/** A function of a module. */
export interface Func {
  /** Types of what it takes, gives back, and of its own locals. */
  readonly takes: readonly number[];
  readonly gives: readonly number[];
  readonly locals: readonly number[];
  readonly body: readonly Code[];
  /** Its name outside, if it has one. */
  readonly name?: string;
}

const vector = (items: readonly Code[]): number[] => [...unsigned(items.length), ...items.flat()];
const section = (id: number, items: readonly Code[]): number[] => {
  const content = vector(items);
  return [id, ...unsigned(content.length), ...content];
};
const name = (text: string) => vector([...text].map((letter) => [letter.charCodeAt(0)]));
const types = (list: readonly number[]) => vector(list.map((type) => [type]));

/** Compiles a module of some functions, called by their places; it imports `env.memory`. */
export function assemble(functions: readonly Func[]): WebAssembly.Module {
  const exported = functions.flatMap((each, index) =>
    each.name === undefined ? [] : [[...name(each.name), 0x00, index]]
  );
  const bodies = functions.map(({ locals, body }) => {
    const code = [...vector(locals.map((type) => [1, type])), ...body.flat(), 0x0b];
    return [...unsigned(code.length), ...code];
  });
  return new WebAssembly.Module(Uint8Array.of(
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, functions.map(({ takes, gives }) => [0x60, ...types(takes), ...types(gives)])),
    ...section(2, [[...name("env"), ...name("memory"), 0x02, 0x00, 0]]),
    ...section(3, functions.map((_, index) => [index])),
    ...section(7, exported),
    ...section(10, bodies),
  ));
}
