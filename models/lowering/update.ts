/**
 * What a graph does at its end to its variables, element by element: the clipped step, averages of weights, running
 * statistics. On WebGPU hundreds of nodes, each a dispatch; taken out of the graph, it is three, see
 * `runtime/devices/segments/update_call.ts`.
 *
 * An output `<variable>.next` is taken if it is computed of the variable by elementwise operators, from what the
 * graph leaves behind (such as gradients), scalars, and sums over such. So are scalar outputs made of those sums.
 * Whatever else there is stays in the graph; so does everything, where a step depends on what comes of it (is it
 * finite?), or where a unit of a tensor has a scalar of its own.
 */

import type {
  ElementUpdate,
  Form,
  Reference,
  Sum,
  UpdateCall,
} from "../../runtime/devices/segments/update_call.ts";
import type { Graph, Value } from "../graph.ts";
import { liveNodes, rewrite } from "../rewrite.ts";
import { sizeOf } from "../tensor.ts";
import { argumentsOf, FormBuilder, type Leaf, reshaped } from "./forms.ts";

/** Fewest outputs that are worth it. */
const FEWEST = 4;

/** Most floats that the variables of a state may have: every adapter binds a buffer of 128 MiB. */
const MOST_FLOATS = 1 << 25;

/** A graph without its update. */
export interface TakenUpdate {
  /** It has an output for each tensor of `call.left`, by its name and the suffix. */
  readonly rest: Graph;
  readonly call: UpdateCall;
}

/** Outputs of one length that are computed together, since they share variables. */
type Cluster = [string, Value][];

/**
 * Takes the update out of a graph.
 *
 * @param suffix what an output has behind its name that is left for the update
 * @returns null where there is none that is worth it
 */
export function takeUpdate(graph: Graph, suffix: string): TakenUpdate | null {
  if (!fits(graph)) return null;
  const forms = new Forms(graph), changing = variablesOf(graph);
  const clusters = clustersOf(graph, forms, changing);
  if (clusters.reduce((sum, { length }) => sum + length, 0) < FEWEST) return null;
  const updates: ElementUpdate[] = [];
  for (const cluster of clusters) {
    const update = forms.update(cluster);
    if (update === null) return null;
    updates.push(update);
  }
  const changed = new Set(clusters.flatMap((cluster) => cluster.map(([name]) => name)));
  const changesBefore = (value: Value) => changing.has(value) && !changed.has(nextOf(value));
  // Scalars that are made of the same sums, such as the gradient's norm.
  for (const [name, value] of graph.outputs) {
    if (value.dims.length > 0 || value.type !== "float32" || changed.has(name)) continue;
    if (!forms.sumsGradients(value)) continue;
    const leaves = forms.leavesOf(value)!.map((leaf) => leaf.value);
    const summed = leaves.flatMap((leaf) => forms.summed(leaf));
    if (leaves.some((leaf) => changing.has(leaf)) || summed.some(changesBefore)) continue;
    updates.push(forms.update([[name, value]])!);
  }
  const sums = forms.sums(), { left, inputs } = forms;
  // One buffer has what is left, and scalars.
  const apart = floatsOf(left.values()) + sums.length + inputs.size + updates.length;
  if (apart > MOST_FLOATS) return null;
  const taken = new Set(updates.flatMap(({ outputs }) => outputs.map(({ name }) => name)));
  const outputs = new Map([...graph.outputs].filter(([name]) => !taken.has(name)));
  for (const [name, value] of left) outputs.set(name + suffix, value);
  const rest = rewrite(graph, { outputs });
  if (rest.nodes.length + updates.length >= liveNodes(graph).length) return null;
  const used = new Set(rest.nodes.flatMap((node) => node.inputs));
  for (const value of rest.outputs.values()) used.add(value);
  // What is read by the update alone is none of the graph's inputs any more.
  for (const [name, value] of [...rest.inputs]) {
    if (inputs.has(name) && !used.has(value)) rest.inputs.delete(name);
  }
  const described = (values: ReadonlyMap<string, Value>) =>
    [...values].map(([name, { dims }]) => ({ name, dims }));
  return {
    rest,
    call: {
      forms: forms.all,
      sums,
      updates,
      left: described(left),
      inputs: described(inputs),
    },
  };
}

function floatsOf(values: Iterable<Value>): number {
  return [...values].reduce((sum, { dims }) => sum + sizeOf(dims), 0);
}

/**
 * Whether variables and what the optimizer keeps of them fit into buffers: they are apart in states, and what is
 * kept of a variable has a name that begins with the variable's.
 */
function fits({ inputs }: Graph): boolean {
  let variables = 0, kept = 0;
  for (const [name, { dims }] of inputs) {
    const isKept = inputs.has(name.slice(0, Math.max(0, name.lastIndexOf("."))));
    if (isKept) kept += sizeOf(dims);
    else variables += sizeOf(dims);
  }
  return Math.max(variables, kept) <= MOST_FLOATS;
}

/** The output that is a variable's new value. */
const nextOf = (variable: Value) => `${variable.name}.next`;

/** The variables that a graph gives new values. */
function variablesOf({ inputs, outputs }: Graph): Set<Value> {
  return new Set([...inputs.values()].filter((input) => outputs.has(nextOf(input))));
}

/** The outputs that can be taken, those together that share variables that change. */
function clustersOf(graph: Graph, forms: Forms, changing: ReadonlySet<Value>): Cluster[] {
  /** The variables that change which an output is computed of, there and by way of sums. */
  const reads = new Map<string, { here: ReadonlySet<Value>; before: readonly Value[] }>();
  for (const variable of changing) {
    const name = nextOf(variable), value = graph.outputs.get(name)!;
    if (String(variable.dims) !== String(value.dims)) continue;
    const leaves = forms.leavesOf(value);
    if (!leaves?.some((leaf) => leaf.value === variable)) continue;
    const own = leaves.filter((leaf) => changing.has(leaf.value));
    // A scalar that changes would be read by one workgroup after another has changed it.
    if (own.some(({ kind }) => kind === "scalar")) continue;
    const before = leaves.flatMap((leaf) => forms.summed(leaf.value))
      .filter((each) => changing.has(each));
    reads.set(name, { here: new Set(own.map((leaf) => leaf.value)), before });
  }
  // The graph's own outputs come first: what they change can be read no more.
  for (let count = -1; count !== reads.size;) {
    count = reads.size;
    for (const [name, { here, before }] of reads) {
      if ([...here, ...before].some((value) => !reads.has(nextOf(value)))) {
        reads.delete(name);
      }
    }
  }
  const clusters: { names: string[]; values: Set<Value> }[] = [];
  for (const [name, { here: values }] of reads) {
    const touching = clusters.filter((each) => !each.values.isDisjointFrom(values));
    const joined = { names: [name], values: new Set(values) };
    for (const each of touching) {
      clusters.splice(clusters.indexOf(each), 1);
      joined.names.unshift(...each.names);
      joined.values = joined.values.union(each.values);
    }
    clusters.push(joined);
  }
  return clusters.map(({ names }) => names.map((name) => [name, graph.outputs.get(name)!]));
}

/** The elements of one tensor in a sum. */
interface Summand {
  readonly builder: FormBuilder;
  readonly result: Reference;
  readonly length: number;
}

/** The forms of a graph's outputs, what they are computed of, and the sums among that. */
class Forms {
  readonly all: Form[] = [];
  /** What the graph leaves behind, by name. */
  readonly left = new Map<string, Value>();
  readonly inputs = new Map<string, Value>();
  readonly #known = new Map<string, number>();
  /** What tensors are summed as they are, or squared: gradients, of which all else is computed. */
  readonly #bases: ReadonlySet<Value>;
  /** The sums that are formed, by what they give. */
  readonly #sums = new Map<Value, Sum>();

  constructor(graph: Graph) {
    this.#bases = new Set(
      liveNodes(graph).filter(({ op }) => op === "ReduceSumSquare")
        .flatMap((node) => argumentsOf(node) ?? []).map(reshaped),
    );
  }

  /** What an output is computed of, null if that cannot be written as a form. */
  leavesOf(value: Value): readonly Leaf[] | null {
    const builder = this.#builder(sizeOf(value.dims));
    return builder.add(value) === null ? null : builder.leaves;
  }

  /** What a sum is computed of; nothing of what is no sum. */
  summed(value: Value): Value[] {
    const summands = this.#summands(value) ?? [];
    return summands.flatMap(({ builder }) => builder.leaves.map((leaf) => leaf.value));
  }

  /** Whether a scalar is computed of scalars among which are sums over gradients. */
  sumsGradients(value: Value): boolean {
    const isBase = (each: Value) => this.#bases.has(each);
    return this.leavesOf(value)?.some((leaf) => this.summed(leaf.value).some(isBase)) ?? false;
  }

  /** Outputs of one length, computed together; null if that is too long to be written. */
  update(outputs: Cluster): ElementUpdate | null {
    const length = sizeOf(outputs[0][1].dims), builder = this.#builder(length);
    const results: Reference[] = [];
    for (const [, value] of outputs) {
      const reference = builder.add(value);
      if (reference === null) return null;
      results.push(reference);
    }
    return {
      ...this.#call(builder, results, length),
      outputs: outputs.map(([name, { dims }]) => ({ name, dims })),
    };
  }

  /** What has been named as a sum. */
  sums(): Sum[] {
    return [...this.#sums.values()];
  }

  #builder(length: number): FormBuilder {
    return new FormBuilder(length, this.#bases, (value) => this.#isSum(value));
  }

  /** Whether a value is a sum over elements that have forms without sums. */
  #isSum(value: Value): boolean {
    return this.#summands(value) !== null;
  }

  /** What a sum is of, each tensor's elements by a form without sums; null if it is none. */
  #summands(value: Value): Summand[] | null {
    const { producer } = value;
    const tensors = producer && !this.#bases.has(value) ? argumentsOf(producer) : null;
    if (!tensors) return null;
    const summands: Summand[] = [];
    for (const tensor of tensors) {
      const length = sizeOf(tensor.dims);
      const builder = new FormBuilder(length, this.#bases, () => false);
      const element = builder.add(tensor);
      if (element === null) return null;
      const isSquared = producer!.op === "ReduceSumSquare";
      summands.push({ builder, length, result: isSquared ? builder.square(element) : element });
    }
    return summands;
  }

  #call(builder: FormBuilder, results: readonly Reference[], length: number) {
    const { kinds: operands, instructions, leaves } = builder;
    const form: Form = { operands, instructions, results }, key = JSON.stringify(form);
    let at = this.#known.get(key);
    if (at === undefined) this.#known.set(key, at = this.all.push(form) - 1);
    return { form: at, length, operands: leaves.map(({ value }) => this.#nameOf(value)) };
  }

  #nameOf(value: Value): string {
    const known = this.#sums.get(value);
    if (known) return known.name;
    const summands = this.#summands(value);
    if (summands) {
      const name = `sum/${value.name}`;
      const calls = summands.map(({ builder, result, length }) =>
        this.#call(builder, [result], length)
      );
      this.#sums.set(value, { name, calls });
      return name;
    }
    if (!value.producer) {
      this.inputs.set(value.name, value);
      return value.name;
    }
    const name = `left/${value.name}`;
    this.left.set(name, value);
    return name;
  }
}
