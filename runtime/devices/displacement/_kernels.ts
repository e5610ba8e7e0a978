import { FLOAT32 } from "./_float32.ts";
import { bytesBefore, FORMATS, type WordFormat } from "./formats.ts";
import type { DisplacementFormat } from "./displacement.ts";

/** Partial sums of the squares of the way and of the residual, which the host adds. */
export const PARTIAL_SUMS = 256;

/** Where the kernels find their buffers. */
export const BINDINGS = {
  parameters: 0,
  values: 1,
  reference: 2,
  residual: 3,
  encoded: 4,
  inputs: 5,
  kinds: 6,
  squares: 7,
  sums: 8,
  moving: 9,
} as const;

/** What a rank has given to a sum. */
export const KIND = { nothing: 0, encoded: 1, own: 2 } as const;

/** Fields of the parameters, in their order. */
export interface Parameters {
  /** The numbers that a kernel is for. */
  readonly start: number;
  readonly end: number;
  /** The first word of them. */
  readonly word: number;
  /** Words of each rank's input. */
  readonly stride: number;
  /** Inputs of a sum; what is applied is divided by it. */
  readonly ranks: number;
  /** Whether a sum's loss is added to the residual; whether the variables move. */
  readonly flag: boolean;
}

/**
 * The kernels of a format: `encode`, `sum`, `apply`, and `total` for the squares that `apply` leaves; `reveal` and
 * `lose` for a sum that is formed elsewhere; `turn` and `catchUp` for variables that have moved on.
 */
export function kernelsOf(format: DisplacementFormat): { readonly code: string } & WordFormat {
  const shape = FORMATS[format], { together, block, perWord, scaleBytes } = shape;
  const threads = together / perWord, blockThreads = block / perWord;
  const blockBytes = bytesBefore(shape, block), words = bytesBefore(shape, together) / 4;
  /** Whether a word of numbers is one in memory, too. */
  const isWhole = blockBytes % 4 === 0;
  /** A thread's word and its scale in a buffer, behind the first word of its workgroup's. */
  const wordIn = (buffer: string) =>
    isWhole
      ? `${buffer}[first + place.at / 4u]`
      : `joined(${buffer}[first + place.at / 4u], ${buffer}[first + place.at / 4u + 1u], place.at % 4u)`;
  const scaleIn = (buffer: string) => {
    if (scaleBytes === 0) return "0u";
    const word = `${buffer}[first + place.scale / 4u]`;
    return isWhole ? word : `extractBits(${word}, 8u * (place.scale % 4u), 8u) << 23u`;
  };
  return {
    ...shape,
    code: /* wgsl */ `${FLOAT32}
struct Parameters { start: u32, end: u32, word: u32, stride: u32, ranks: u32, flag: u32 }
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> values: array<u32>;
@group(0) @binding(2) var<storage, read_write> reference: array<u32>;
@group(0) @binding(3) var<storage, read_write> residual: array<u32>;
@group(0) @binding(4) var<storage, read_write> encoded: array<u32>;
@group(0) @binding(5) var<storage, read_write> inputs: array<u32>;
@group(0) @binding(6) var<storage, read_write> kinds: array<u32>;
@group(0) @binding(7) var<storage, read_write> squares: array<vec2f>;
@group(0) @binding(8) var<storage, read_write> sums: array<vec2f>;
@group(0) @binding(9) var<storage, read_write> moving: array<u32>;
${shape.code}
alias Values = array<u32, ${perWord}>;

struct Thread {
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) index: u32,
}
/**
 * Where a thread is: its workgroup and the first word of that, its first number, its block in the workgroup and its
 * place in that; and where the bytes of its numbers and those of their scale begin there.
 */
struct Place { group: u32, first: u32, number: u32, block: u32, within: u32, at: u32, scale: u32 }
fn placeOf(thread: Thread) -> Place {
  let group = thread.group.x + thread.group.y * thread.groups.x;
  let number = group * ${together}u + thread.index * ${perWord}u;
  let block = thread.index / ${blockThreads}u;
  let within = thread.index % ${blockThreads}u;
  let scale = block * ${blockBytes}u;
  return Place(group, group * ${words}u, number, block, within, scale + ${scaleBytes}u + within * 4u, scale);
}
/** Four bytes of two words. */
fn joined(low: u32, high: u32, skipped: u32) -> u32 {
  if (skipped == 0u) { return low; }
  return (low >> (8u * skipped)) | (high << (32u - 8u * skipped));
}
fn count() -> u32 { return parameters.end - parameters.start; }

fn displacement(i: u32) -> u32 { return added(subtracted(values[i], reference[i]), residual[i]); }

${scaleBytes === 0 ? "" : `var<workgroup> largest: array<atomic<u32>, ${together / block}>;`}
${isWhole ? "" : `var<workgroup> staged: array<atomic<u32>, ${words}>;`}
/** Writes a thread's word and its block's scale; the values become what they are read as. */
fn write(place: Place, thread: u32, numbers: ptr<function, Values>) {
  ${
      scaleBytes === 0 ? "let scale = 0u;" : /* wgsl */ `
  var most = 0u;
  for (var k = 0u; k < ${perWord}u; k++) { most = max(most, (*numbers)[k] & MAGNITUDE); }
  atomicMax(&largest[place.block], most);
  workgroupBarrier();
  let scale = scaleOf(atomicLoad(&largest[place.block]));`
    }
  let word = wordOf(*numbers, scale);
  let to = parameters.word + place.first;
  ${
      isWhole
        ? /* wgsl */ `
  if (place.number < count()) {
    ${scaleBytes === 0 ? "" : "if (place.within == 0u) { encoded[to + place.scale / 4u] = scale; }"}
    encoded[to + place.at / 4u] = word;
  }`
        : /* wgsl */ `
  if (place.within == 0u) {
    atomicOr(&staged[place.scale / 4u], (scale >> 23u) << (8u * (place.scale % 4u)));
  }
  let shift = 8u * (place.at % 4u);
  atomicOr(&staged[place.at / 4u], word << shift);
  if (shift > 0u) { atomicOr(&staged[place.at / 4u + 1u], word >> (32u - shift)); }
  workgroupBarrier();
  let here = min(count() - min(count(), place.group * ${together}u), ${together}u);
  let bytes = (here + ${block - 1}u) / ${block}u * ${scaleBytes}u + (4u * here + ${
          perWord - 1
        }u) / ${perWord}u;
  for (var i = thread; 4u * i < bytes; i += ${threads}u) { encoded[to + i] = atomicLoad(&staged[i]); }`
    }
  for (var k = 0u; k < ${perWord}u; k++) { (*numbers)[k] = valueAt(word, k, scale); }
}

@compute @workgroup_size(${threads})
fn encode(thread: Thread) {
  let place = placeOf(thread);
  var numbers = Values();
  for (var k = 0u; k < ${perWord}u; k++) {
    if (place.number + k < count()) { numbers[k] = displacement(parameters.start + place.number + k); }
  }
  let all = numbers;
  write(place, thread.index, &numbers);
  for (var k = 0u; k < ${perWord}u; k++) {
    if (place.number + k < count()) {
      residual[parameters.start + place.number + k] = subtracted(all[k], numbers[k]);
    }
  }
}

@compute @workgroup_size(${threads})
fn sum(thread: Thread) {
  let place = placeOf(thread);
  var numbers = Values();
  var isFirst = true;
  for (var rank = 0u; rank < parameters.ranks; rank++) {
    let kind = kinds[rank];
    if (kind == ${KIND.nothing}u || place.number >= count()) { continue; }
    for (var k = 0u; k < ${perWord}u; k++) {
      if (place.number + k >= count()) { continue; }
      var number = 0u;
      if (kind == ${KIND.own}u) {
        number = displacement(parameters.start + place.number + k);
      } else {
        let first = rank * parameters.stride + place.first;
        number = valueAt(${wordIn("inputs")}, k, ${scaleIn("inputs")});
      }
      if (isFirst) { numbers[k] = number; } else { numbers[k] = added(numbers[k], number); }
    }
    isFirst = false;
  }
  let all = numbers;
  write(place, thread.index, &numbers);
  for (var k = 0u; k < ${perWord}u; k++) {
    if (place.number + k >= count()) { continue; }
    let i = parameters.start + place.number + k;
    let loss = subtracted(all[k], numbers[k]);
    if (parameters.flag == 0u) { residual[i] = loss; } else { residual[i] = added(residual[i], loss); }
  }
}

var<workgroup> shares: array<vec2f, ${threads}>;

@compute @workgroup_size(${threads})
fn apply(thread: Thread) {
  let place = placeOf(thread);
  var square = vec2f();
  if (place.number < count()) {
    let first = place.first;
    let word = ${wordIn("encoded")};
    let scale = ${scaleIn("encoded")};
    for (var k = 0u; k < ${perWord}u; k++) {
      let i = place.number + k;
      if (i >= count()) { continue; }
      let next = added(reference[i], divided(valueAt(word, k, scale), parameters.ranks));
      let both = vec2f(bitcast<f32>(subtracted(next, values[i])), bitcast<f32>(residual[i]));
      square += both * both;
      reference[i] = next;
      if (parameters.flag == 1u) { values[i] = next; }
    }
  }
  shares[thread.index] = square;
  workgroupBarrier();
  if (thread.index > 0u || place.number >= count()) { return; }
  var all = vec2f();
  for (var k = 0u; k < ${threads}u; k++) { all += shares[k]; }
  squares[place.group] = all;
}

@compute @workgroup_size(${PARTIAL_SUMS})
fn total(@builtin(local_invocation_index) thread: u32) {
  var all = vec2f();
  for (var i = thread; i < parameters.end; i += ${PARTIAL_SUMS}u) { all += squares[i]; }
  sums[thread] = all;
}

@compute @workgroup_size(${threads})
fn reveal(thread: Thread) {
  let place = placeOf(thread);
  for (var i = place.number; i < min(place.number + ${perWord}u, count()); i++) {
    inputs[i] = displacement(parameters.start + i);
  }
}

@compute @workgroup_size(${threads})
fn lose(thread: Thread) {
  let place = placeOf(thread);
  for (var k = place.number; k < min(place.number + ${perWord}u, count()); k++) {
    let i = parameters.start + k;
    if (parameters.flag == 0u) { residual[i] = inputs[k]; } else { residual[i] = added(residual[i], inputs[k]); }
  }
}

@compute @workgroup_size(${threads})
fn turn(thread: Thread) {
  let place = placeOf(thread);
  for (var i = place.number; i < min(place.number + ${perWord}u, count()); i++) {
    values[i] = subtracted(reference[i], values[i]);
  }
}

@compute @workgroup_size(${threads})
fn catchUp(thread: Thread) {
  let place = placeOf(thread);
  for (var i = place.number; i < min(place.number + ${perWord}u, count()); i++) {
    moving[i] = added(moving[i], values[i]);
  }
}
`,
  };
}
