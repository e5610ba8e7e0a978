/**
 * The kernels of an update, in WGSL, each of which treats all tensors in one dispatch. A table says of each
 * workgroup which tensors it works on and where; what is computed of them is one of a few forms, written out.
 */

import type { Form, FormOperator, Reference } from "./update_call.ts";

/** Threads of a workgroup, and elements that each of them computes at most. */
export const THREADS = 256, ELEMENTS = 8;
/** Elements of a workgroup. */
export const BLOCK = THREADS * ELEMENTS;

/** A form, and the buffer in which each of its operands and, after them, its results lie. */
export interface PlacedForm {
  readonly form: Form;
  readonly operands: readonly number[];
  readonly results: readonly number[];
}

const OPERATORS: Record<FormOperator, (...operands: string[]) => string> = {
  Abs: (x) => `abs(${x})`,
  Add: (a, b) => `${a} + ${b}`,
  Div: (a, b) => `${a} / ${b}`,
  Greater: (a, b) => `${a} > ${b}`,
  Less: (a, b) => `${a} < ${b}`,
  Mul: (a, b) => `${a} * ${b}`,
  Neg: (x) => `-${x}`,
  Reciprocal: (x) => `1.0 / ${x}`,
  Sqrt: (x) => `sqrt(${x})`,
  Sub: (a, b) => `${a} - ${b}`,
  Where: (condition, a, b) => `select(${b}, ${a}, ${condition})`,
};

/** A number whose float32 is the same bits. */
function literal(x: number): string {
  const bits = new Uint32Array(Float32Array.of(x).buffer)[0];
  return `bitcast<f32>(0x${bits.toString(16)}u)`;
}

function nameOf(reference: Reference): string {
  return typeof reference === "number" ? literal(reference) : reference;
}

/**
 * What one element comes to. Operands lie from the places that the tensors' row of the table has from its third
 * word on.
 */
function elementCode({ form, operands }: PlacedForm): string {
  const loads = form.operands.map((kind, o) => {
    const at = `table[row + ${2 + o}u]`;
    return `let o${o} = b${operands[o]}[${at}${kind === "tensor" ? " + i" : ""}];`;
  });
  const steps = form.instructions.map(([operator, ...references], i) =>
    `let i${i} = ${OPERATORS[operator](...references.map(nameOf))};`
  );
  return [...loads, ...steps].join("\n        ");
}

/** `buffers` are bound from 1 on; binding 0 has the table: two words for each workgroup, then rows. */
function bindings(buffers: number, access: "read" | "read_write"): string {
  const each = Array.from(
    { length: buffers },
    (_, b) => `@group(0) @binding(${b + 1}) var<storage, ${access}> b${b}: array<f32>;`,
  );
  return ["@group(0) @binding(0) var<storage, read> table: array<u32>;", ...each].join("\n");
}

/**
 * What all elements of a workgroup go through: a row of the table is the number of elements, the form, and the
 * places of operands and results.
 */
function loop(forms: readonly PlacedForm[], use: (form: PlacedForm) => string): string {
  return /* wgsl */ `
  let row = table[2u * index];
  let first = table[2u * index + 1u];
  let end = min(first + ${BLOCK}u, table[row]);
  switch table[row + 1u] {
    ${
    forms.map((form, f) =>
      `case ${f}u: {
      for (var i = first + thread; i < end; i += ${THREADS}u) {
        ${elementCode(form)}
        ${use(form)}
      }
    }`
    ).join("\n    ")
  }
    default: {}
  }`;
}

const HEAD = /* wgsl */ `
@compute @workgroup_size(${THREADS})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = group.y * groups.x + group.x;`;

const TREE = /* wgsl */ `
  sums[thread] = own;
  for (var half = ${THREADS / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (thread < half) { sums[thread] += sums[thread + half]; }
  }`;

/** Each workgroup's sum of what a form computes of its elements, to the last of the buffers. */
export function partialSumsKernel(
  forms: readonly PlacedForm[],
  buffers: number,
  groups: number,
): string {
  return /* wgsl */ `${bindings(buffers, "read")}
@group(0) @binding(${buffers + 1}) var<storage, read_write> partial: array<f32>;
var<workgroup> sums: array<f32, ${THREADS}>;
${HEAD}
  var own = 0.0;
  if (index < ${groups}u) {${loop(forms, ({ form }) => `own += ${nameOf(form.results[0])};`)}
  }${TREE}
  if (thread == 0u && index < ${groups}u) { partial[index] = sums[0]; }
}
`;
}

/** Workgroup k adds up the workgroups of sum k, from one word of the table to the next, and writes it to a place. */
export function totalsKernel(): string {
  return /* wgsl */ `
@group(0) @binding(0) var<storage, read> table: array<u32>;
@group(0) @binding(1) var<storage, read_write> total: array<f32>;
@group(0) @binding(2) var<storage, read> partial: array<f32>;
var<workgroup> sums: array<f32, ${THREADS}>;
${HEAD}
  var own = 0.0;
  for (var i = table[3u * index] + thread; i < table[3u * index + 1u]; i += ${THREADS}u) {
    own += partial[i];
  }${TREE}
  if (thread == 0u) { total[table[3u * index + 2u]] = sums[0]; }
}
`;
}

/** Computes all results, and writes them where they belong. */
export function elementsKernel(
  forms: readonly PlacedForm[],
  buffers: number,
  groups: number,
): string {
  const writes = ({ form, results }: PlacedForm) =>
    form.results.map((reference, r) =>
      `b${results[r]}[table[row + ${2 + form.operands.length + r}u] + i] = ${nameOf(reference)};`
    ).join("\n        ");
  return /* wgsl */ `${bindings(buffers, "read_write")}
${HEAD}
  if (index >= ${groups}u) { return; }
${loop(forms, writes)}
}
`;
}
