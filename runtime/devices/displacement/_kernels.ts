import { FLOAT32 } from "./_float32.ts";
import { FORMATS, type WordFormat } from "./formats.ts";
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
 * The kernels of a format: `encode`, `sum`, `apply`, and `total` for the squares that `apply` leaves; `turn` and
 * `catchUp` for variables that have moved on.
 */
export function kernelsOf(format: DisplacementFormat): { readonly code: string } & WordFormat {
  const shape = FORMATS[format], { block, perWord, scaleWords } = shape;
  const threads = block / perWord;
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
/** Where a thread is: its workgroup, its first number, its word, and that of the scale, of the span. */
struct Place { group: u32, number: u32, word: u32, scale: u32 }
fn placeOf(thread: Thread) -> Place {
  let group = thread.group.x + thread.group.y * thread.groups.x;
  let scale = group * ${threads + scaleWords}u;
  let word = scale + ${scaleWords}u + thread.index;
  return Place(group, group * ${block}u + thread.index * ${perWord}u, word, scale);
}
fn count() -> u32 { return parameters.end - parameters.start; }

fn displacement(i: u32) -> u32 { return added(subtracted(values[i], reference[i]), residual[i]); }

var<workgroup> largest: atomic<u32>;
/** Writes a thread's word and its block's scale; the values become what they are read as. */
fn write(place: Place, thread: u32, numbers: ptr<function, Values>) {
  ${
      scaleWords === 0 ? "let scale = 0u;" : /* wgsl */ `
  var most = 0u;
  for (var k = 0u; k < ${perWord}u; k++) { most = max(most, (*numbers)[k] & MAGNITUDE); }
  atomicMax(&largest, most);
  workgroupBarrier();
  let scale = scaleOf(atomicLoad(&largest));
  if (thread == 0u && place.number < count()) { encoded[parameters.word + place.scale] = scale; }`
    }
  let word = wordOf(*numbers, scale);
  if (place.number < count()) { encoded[parameters.word + place.word] = word; }
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
        let first = rank * parameters.stride;
        number = valueAt(inputs[first + place.word], k, inputs[first + place.scale]);
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
    let word = encoded[place.word];
    let scale = encoded[place.scale];
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
