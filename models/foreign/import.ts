/**
 * Turns an ONNX file's graph into a graph that can be differentiated: shapes fixed, functions inlined,
 * older operator sets brought up to date, shape arithmetic folded away.
 *
 * @module
 */

import type { Graph, Value } from "../graph.ts";
import type { Application, Attribute } from "../operator.ts";
import { findOperator } from "../ops/mod.ts";
import type { Tensor } from "../tensor.ts";
import { checkAttributes } from "./_attributes.ts";
import { upgrade } from "./_upgrade.ts";
import {
  type OnnxAttribute,
  OnnxFileError,
  OnnxGraph,
  type OnnxModel,
  type OnnxNode,
} from "./file/onnx_graph.ts";

/** Attributes of a node in a file, by name. */
type OnnxAttributes = Readonly<Record<string, OnnxAttribute>>;

/** An operator about to be imported. */
export interface ImportedCall extends Application {
  /** What the file calls the outputs. */
  readonly names: readonly string[];
}

/** What the importer asks of its caller. */
export interface ImportHooks {
  /** The value of an input of the model. */
  input(name: string): Value;
  /** The value of an initializer: a constant, or the input that a parameter is. */
  initializer(name: string, tensor: Tensor): Value;
  /** Another form of an operator, such as dropout by a mask; undefined leaves it as it is. */
  replace?(call: ImportedCall): readonly Value[] | undefined;
}

/** Names and what they stand for; inner names hide outer ones. */
class Names {
  readonly #known = new Map<string, Value>();

  constructor(readonly outer?: Names) {}

  set(name: string, value: Value): void {
    this.#known.set(name, value);
  }

  find(name: string): Value | undefined {
    return this.#known.get(name) ?? this.outer?.find(name);
  }
}

/**
 * Appends a model's nodes to a graph.
 *
 * @returns the model's outputs by name
 * @throws OnnxFileError or OperatorError, naming the node, when something is not supported
 */
export function importGraph(g: Graph, model: OnnxModel, hooks: ImportHooks): Map<string, Value> {
  const names = new Names();
  for (const { name } of model.graph.inputs) names.set(name, hooks.input(name));
  const importer = new Importer(g, model, hooks);
  importer.graph(model.graph, names);
  return new Map(model.graph.outputs.map((name) => [name, found(names, name, "the model")]));
}

function found(names: Names, name: string, where: string): Value {
  const value = names.find(name);
  if (!value) throw new OnnxFileError(`${where} uses "${name}", which nothing before it computes`);
  return value;
}

/** Most nodes of a model, its functions put in place: they may call each other, and double at each level. */
const MOST_NODES = 200_000;

class Importer {
  #imported = 0;
  /** Functions being inlined. */
  readonly #inside = new Set<string>();

  constructor(readonly g: Graph, readonly model: OnnxModel, readonly hooks: ImportHooks) {}

  /** @param around attributes of the function that the graph stands in; none outside */
  graph(
    graph: OnnxGraph,
    names: Names,
    around: OnnxAttributes = {},
  ): void {
    for (const [name, tensor] of graph.initializers) {
      names.set(name, this.hooks.initializer(name, tensor));
    }
    for (const node of graph.nodes) this.node(node, names, around);
  }

  node(node: OnnxNode, names: Names, around: OnnxAttributes): void {
    if (++this.#imported > MOST_NODES) {
      throw new OnnxFileError(
        `the model comes to more than ${MOST_NODES} nodes when its functions are put in place`,
      );
    }
    const inputs = node.inputs.map((name) => name ? found(names, name, `"${node.name}"`) : null);
    const attributes = resolve(node.attributes, around);
    let results: readonly Value[];
    try {
      results = node.op === "If"
        ? this.branch(inputs[0], attributes, names, around)
        : this.apply(node, inputs, attributes);
    } catch (error) {
      const at = `node "${node.name}": `;
      if (error instanceof Error && !error.message.startsWith("node ")) {
        error.message = at + error.message;
      }
      throw error;
    }
    for (const [i, name] of node.outputs.entries()) {
      if (!name) continue;
      if (!results[i]) throw new OnnxFileError(`"${node.name}": no output ${i} of ${node.op}`);
      names.set(name, results[i]);
    }
  }

  apply(
    node: OnnxNode,
    inputs: (Value | null)[],
    attributes: OnnxAttributes,
  ): readonly Value[] {
    const { op } = node;
    const body = this.model.functions.get(op);
    if (body) {
      if (this.#inside.has(op)) throw new OnnxFileError(`the function ${op} calls itself`);
      this.#inside.add(op);
      const inner = new Names();
      body.inputs.forEach((input, i) => inputs[i] && inner.set(input, inputs[i]!));
      for (const each of body.nodes) this.node(each, inner, { ...body.defaults, ...attributes });
      this.#inside.delete(op);
      return body.outputs.map((output) => found(inner, output, `function ${op}`));
    }
    // A Split is into as many parts as it has outputs, whether those at the end have names or not.
    const outputs = op === "Split"
      ? node.outputs.length
      : node.outputs.findLastIndex((output) => output !== "") + 1;
    const plain: Record<string, Attribute> = {};
    for (const [key, value] of Object.entries(attributes)) {
      if (value instanceof OnnxGraph) {
        throw new OnnxFileError(`${op} repeats a graph; export the model with its loop unrolled`);
      }
      plain[key] = value as Attribute;
    }
    const name = op.replace(/^com\.microsoft\.(Gelu)$/, "$1");
    const call = upgrade(this.g, this.model.opset, {
      op: name,
      inputs,
      attributes: plain,
      outputs,
    });
    if (!("op" in call)) return call;
    findOperator(call.op); // what is not known at all is said first
    checkAttributes(call, this.model.opset);
    const replaced = this.hooks.replace?.({ ...call, names: node.outputs });
    if (replaced) return replaced;
    const last = call.inputs.findLastIndex((input) => input !== null);
    return this.g.opMany(call.op, call.inputs.slice(0, last + 1), call.attributes, call.outputs);
  }

  /** The branch that is taken; which one must be known. */
  branch(
    condition: Value | null | undefined,
    attributes: OnnxAttributes,
    names: Names,
    around: OnnxAttributes,
  ): Value[] {
    if (!condition?.constant) {
      throw new OnnxFileError("If's condition is computed; the graph must not depend on data");
    }
    const taken = Number(condition.constant.data[0]) ? "then_branch" : "else_branch";
    const graph = attributes[taken];
    if (!(graph instanceof OnnxGraph)) throw new OnnxFileError(`If has no ${taken}`);
    const inner = new Names(names);
    this.graph(graph, inner, around);
    return graph.outputs.map((name) => found(inner, name, taken));
  }
}

/** Attributes with references to the function's own replaced by what it was given. */
function resolve(
  attributes: OnnxAttributes,
  around: OnnxAttributes,
): Record<string, OnnxAttribute> {
  return Object.fromEntries(
    Object.entries(attributes).map((
      [name, value],
    ) => [
      name,
      typeof value === "object" && "reference" in value ? around[value.reference] : value,
    ]).filter(([, value]) => value !== undefined),
  );
}
