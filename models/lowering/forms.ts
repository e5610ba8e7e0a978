/** From nodes that work element by element to the forms of an update. */

import {
  FORM_OPERATORS,
  type FormOperator,
  type Instruction,
  type Reference,
} from "../../runtime/devices/segments/update_call.ts";
import type { Node, Value } from "../graph.ts";
import { sizeOf, toNumbers } from "../tensor.ts";

/** Operators that give the elements of their first input another shape. */
const RESHAPING = new Set(["Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"]);

const OPERATORS: ReadonlySet<string> = new Set(FORM_OPERATORS);

/** Instructions of a form with one result at most. */
const MOST_INSTRUCTIONS = 512;

/** The value whose elements another has in the same order. */
export function reshaped(value: Value): Value {
  while (value.producer && RESHAPING.has(value.producer.op)) value = value.producer.inputs[0]!;
  return value;
}

/** The tensors whose elements a reduction to one number sums; null for another node. */
export function argumentsOf({ op, inputs, results }: Node): Value[] | null {
  if (op !== "ReduceSumSquare" && op !== "ReduceSum") return null;
  if (sizeOf(results[0].dims) !== 1) return null;
  const tensor = reshaped(inputs[0]!), { producer } = tensor;
  return producer?.op === "Concat" ? producer.inputs.map((each) => each!) : [tensor];
}

/** What a form is computed of. */
export interface Leaf {
  readonly value: Value;
  /** A tensor of as many elements as what is computed, or one for all. */
  readonly kind: "tensor" | "scalar";
}

/** The form of some values of one length. */
export class FormBuilder {
  readonly leaves: Leaf[] = [];
  readonly instructions: Instruction[] = [];
  readonly #length: number;
  readonly #bases: ReadonlySet<Value>;
  readonly #isSum: (value: Value) => boolean;
  readonly #known = new Map<Value, Reference | null>();
  /** Operators that have been begun with since the last result. */
  #begun = 0;

  /**
   * @param bases what is not looked into
   * @param isSum whether a value is a sum that is formed aside
   */
  constructor(length: number, bases: ReadonlySet<Value>, isSum: (value: Value) => boolean) {
    this.#length = length;
    this.#bases = bases;
    this.#isSum = isSum;
  }

  get kinds(): Leaf["kind"][] {
    return this.leaves.map(({ kind }) => kind);
  }

  /** Writes a result; null if it is none that goes element by element, or is made of too much. */
  add(value: Value): Reference | null {
    this.#begun = 0;
    return this.#add(value);
  }

  #add(value: Value): Reference | null {
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    const reference = this.#write(value);
    this.#known.set(value, reference);
    return reference;
  }

  /** The square of what has been written. */
  square(reference: Reference): Reference {
    return this.#instruction(["Mul", reference, reference]);
  }

  #write(value: Value): Reference | null {
    const size = sizeOf(value.dims);
    if (size !== this.#length && size !== 1) return null;
    if (value.constant) return constantOf(value);
    const tensor = reshaped(value);
    if (tensor !== value) return this.#add(tensor);
    const { producer } = value;
    if (!producer || this.#bases.has(value) || !OPERATORS.has(producer.op) || this.#isSum(value)) {
      return this.#leaf(value, size);
    }
    if (++this.#begun > MOST_INSTRUCTIONS) return null;
    const operands: Reference[] = [];
    for (const input of producer.inputs) {
      const reference = this.#add(input!);
      if (reference === null) return null;
      operands.push(reference);
    }
    const op = producer.op as FormOperator;
    return mayVanish(op, operands) ? null : this.#instruction([op, ...operands]);
  }

  #leaf(value: Value, size: number): Reference | null {
    if (value.type !== "float32") return null;
    const kind = size === this.#length ? "tensor" : "scalar";
    return `o${this.leaves.push({ value, kind }) - 1}`;
  }

  #instruction(instruction: Instruction): Reference {
    return `i${this.instructions.push(instruction) - 1}`;
  }
}

/**
 * Whether the compiler of a shader, which may take NaN and infinities for impossible, may write a number in the place
 * of an instruction that would be NaN for one of these: 0 · x, 0 / x, x − x, x / x.
 */
function mayVanish(op: FormOperator, [a, b]: readonly Reference[]): boolean {
  if (op === "Mul") return a === 0 || b === 0;
  return op === "Div" && a === 0 || (op === "Div" || op === "Sub") && a === b;
}

/** The number that all elements of a constant are, null if there is none. */
function constantOf({ constant, type }: Value): number | null {
  if (type !== "float32") return null;
  const [first, ...rest] = toNumbers(constant!).data;
  // −0 is 0 in JSON, and a literal is finite.
  if (!Number.isFinite(first) || Object.is(first, -0)) return null;
  return rest.every((x) => Object.is(x, first)) ? first : null;
}
