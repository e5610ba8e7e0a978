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

/** What several outputs of one length are computed together, since they share variables. */
type Cluster = [string, Value][];

/**
 * Takes the update out of a graph.
 *
 * @param suffix what an output has behind its name that is left for the update
 * @returns null where there is none that is worth it
 */
export function takeUpdate(graph: Graph, suffix: string): TakenUpdate | null {
  if (!fits(graph)) return null;
  const forms = new Forms(graph);
  const clusters = clustersOf(graph, forms);
  if (clusters.reduce((sum, { length }) => sum + length, 0) < FEWEST) return null;
  const updates = clusters.map((cluster) => forms.update(cluster));
  // Scalars that are made of the same sums, such as the gradient's norm.
  for (const [name, value] of graph.outputs) {
    if (value.dims.length === 0 && forms.sumsGradients(value)) {
      updates.push(forms.update([[name, value]]));
    }
  }
  const sums = forms.sums(), { left, inputs } = forms;
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

/** The outputs that can be taken, those together that share variables that change. */
function clustersOf(graph: Graph, forms: Forms): Cluster[] {
  const changing = new Set(
    [...graph.outputs.keys()].flatMap((name) => {
      const value = name.endsWith(".next") && graph.inputs.get(name.slice(0, -".next".length));
      return value ? [value] : [];
    }),
  );
  /** The variables that change which an output is computed of, there and by way of sums. */
  const reads = new Map<string, { here: ReadonlySet<Value>; before: readonly Value[] }>();
  for (const [name, value] of graph.outputs) {
    const variable = graph.inputs.get(name.slice(0, -".next".length));
    if (!variable || !changing.has(variable) || String(variable.dims) !== String(value.dims)) {
      continue;
    }
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
      if ([...here, ...before].some((value) => !reads.has(`${value.name}.next`))) {
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

  /** Outputs of one length, computed together. */
  update(outputs: Cluster): ElementUpdate {
    const length = sizeOf(outputs[0][1].dims), builder = this.#builder(length);
    const results = outputs.map(([, value]) => builder.add(value)!);
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

  #summands(
    value: Value,
  ): { builder: FormBuilder; result: string | number; length: number }[] | null {
    const { producer } = value;
    const tensors = producer && !this.#bases.has(value) ? argumentsOf(producer) : null;
    if (!tensors) return null;
    const summands = tensors.map((tensor) => {
      const length = sizeOf(tensor.dims);
      const builder = new FormBuilder(length, this.#bases, () => false);
      const element = builder.add(tensor);
      if (element === null) return null;
      const squares = producer!.op === "ReduceSumSquare";
      return { builder, length, result: squares ? builder.square(element) : element };
    });
    return summands.includes(null) ? null : summands as NonNullable<typeof summands[number]>[];
  }

  #call(builder: FormBuilder, results: readonly (string | number)[], length: number) {
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
