/**
 * Causal self-attention, forward and backward. The probabilities are as many as the length squared in each
 * head. Where there are loops they are there for one sample at a time, or one head if they are many; elsewhere
 * for the batch. Either way the backward pass computes them again.
 *
 * Queries are taken in blocks, each with the keys up to its end: with B blocks (B + 1) / 2B of the products
 * are left.
 */

import type { Graph, Value } from "../../graph.ts";
import { intAttribute } from "../../operator.ts";
import { MICROSOFT } from "../../ops/contrib.ts";
import { eachSlice, hasLoops } from "./_pieces.ts";
import type { LoweringRules, Target } from "../rule.ts";

/** Added to the products of what is not seen: finite, and far below all that are. */
const UNSEEN = -1e30;

/** The most blocks, and the fewest queries in one: smaller products are slower than what they save. */
const BLOCKS = 4, QUERIES = 64;

/** `[length, length]`: 0 where the row's position sees the column's, else {@linkcode UNSEEN}. */
function triangle(g: Graph, length: number, type: Value["type"]): Value {
  const positions = Array.from({ length }, (_, i) => i);
  const rows = g.constant("int32", [length, 1], positions);
  const columns = g.constant("int32", [1, length], positions);
  return g.mul(g.cast(g.greater(columns, rows), type), UNSEEN);
}

/** Queries from `start` to `end`, which see the keys up to `end`. */
interface Block {
  readonly start: number;
  readonly end: number;
}

function blocksOf(length: number): Block[] {
  const count = Math.max(1, Math.min(BLOCKS, Math.floor(length / QUERIES)));
  const at = (i: number) => Math.round(i * length / count);
  return Array.from({ length: count }, (_, i) => ({ start: at(i), end: at(i + 1) }));
}

/** The attention of one sample `[length, …]`, or of a batch `[batch, length, …]`. */
class Attention {
  readonly #g: Graph;
  readonly #target: Target;
  readonly #heads: number;
  /** Axes before the length. */
  readonly #leading: readonly number[];
  readonly #length: number;
  readonly #scale: number;

  constructor(g: Graph, target: Target, heads: number, { dims }: Value) {
    this.#g = g;
    this.#target = target;
    this.#heads = heads;
    this.#leading = dims.slice(0, -2);
    this.#length = dims.at(-2)!;
    this.#scale = 1 / Math.sqrt(dims.at(-1)! / 3 / heads);
  }

  /** `[…, length, parts · width]` as `parts` tensors `[…, heads, length, size]`. */
  #split(x: Value, parts: number): Value[] {
    const g = this.#g, heads = this.#heads, rank = this.#leading.length;
    const size = x.dims.at(-1)! / parts / heads;
    const apart = g.reshape(x, [...this.#leading, this.#length, parts, heads, size]);
    const leading = this.#leading.map((_, axis) => axis);
    const moved = g.transpose(apart, [rank + 1, ...leading, rank + 2, rank, rank + 3]);
    return Array.from(
      { length: parts },
      (_, i) => g.reshape(g.slice(moved, [0], [i], [i + 1]), moved.dims.slice(1)),
    );
  }

  /** The opposite of #split, but for the last axes, which stay apart: `[…, length, parts, heads, size]`. */
  #join(parts: readonly Value[]): Value {
    const g = this.#g, rank = this.#leading.length;
    const joined = g.concat(parts.map((part) => g.unsqueeze(part, [0])), 0);
    const leading = this.#leading.map((_, axis) => axis + 1);
    return g.transpose(joined, [...leading, rank + 2, 0, rank + 1, rank + 3]);
  }

  /** a · b over the last two axes, either of them transposed. */
  #product(a: Value, b: Value, { transA = 0, transB = 0, alpha = 1 }): Value {
    const g = this.#g;
    if (hasLoops(this.#target) && a.type === "float32") {
      return g.op(`${MICROSOFT}FusedMatMul`, [a, b], { transA, transB, alpha });
    }
    const result = g.matmul(transA ? g.transpose(a) : a, transB ? g.transpose(b) : b);
    return alpha === 1 ? result : g.mul(result, alpha);
  }

  /** Rows from `start` to `end` of the axis before the last. */
  #rows(x: Value, start: number, end: number): Value {
    const axis = x.dims.length - 2;
    if (start === 0 && end === x.dims[axis]) return x;
    return this.#g.slice(x, [axis], [start], [end]);
  }

  /** What a block's queries take from the keys they see, `[…, heads, queries, keys]`. */
  #probabilities(q: Value, k: Value, unseen: Value, { start, end }: Block): Value {
    const g = this.#g;
    const [queries, keys] = [this.#rows(q, start, end), this.#rows(k, 0, end)];
    const scores = this.#product(queries, keys, { transB: 1, alpha: this.#scale });
    return g.op("Softmax", [g.add(scores, this.#part(unseen, { start, end }))], { axis: -1 });
  }

  /** A block's part of what is `[…, length, length]`. */
  #part(x: Value, { start, end }: Block): Value {
    const axis = x.dims.length - 2;
    if (start === 0 && end === this.#length) return x;
    return this.#g.slice(x, [axis, axis + 1], [start, 0], [end, end]);
  }

  forward(qkv: Value, unseen: Value, mask: Value | undefined): Value {
    const g = this.#g, [q, k, v] = this.#split(qkv, 3);
    const parts = blocksOf(this.#length).map((block) => {
      const p = this.#probabilities(q, k, unseen, block);
      const dropped = mask ? g.mul(p, this.#part(mask, block)) : p;
      return g.matmul(dropped, this.#rows(v, 0, block.end));
    });
    return this.#join([g.concat(parts, q.dims.length - 2)]);
  }

  backward(qkv: Value, y: Value, dy: Value, unseen: Value, mask: Value | undefined): Value {
    const g = this.#g, [q, k, v] = this.#split(qkv, 3), [dOut] = this.#split(dy, 1);
    // Σ_j p_ij dp_ij, what softmax takes off, is Σ_d y_id dy_id (Dao et al. 2022, appendix B.2).
    const [each] = this.#split(g.mul(y, dy), 1), along = g.sum(each, [-1], true);
    const alpha = this.#scale, dq: Value[] = [];
    let dk: Value | undefined, dv: Value | undefined;
    for (const block of blocksOf(this.#length)) {
      const { start, end } = block;
      const p = this.#probabilities(q, k, unseen, block), kept = mask && this.#part(mask, block);
      const out = this.#rows(dOut, start, end);
      const through = this.#product(out, this.#rows(v, 0, end), { transB: 1 });
      const dp = kept ? g.mul(through, kept) : through;
      const dScores = g.mul(p, g.sub(dp, this.#rows(along, start, end)));
      dq.push(this.#product(dScores, this.#rows(k, 0, end), { alpha }));
      const queries = this.#rows(q, start, end);
      dk = this.#grown(dk, this.#product(dScores, queries, { transA: 1, alpha }));
      dv = this.#grown(dv, this.#product(kept ? g.mul(p, kept) : p, out, { transA: 1 }));
    }
    return this.#join([g.concat(dq, q.dims.length - 2), dk!, dv!]);
  }

  /** The sum of the keys' gradients so far and a block's, which has more rows. */
  #grown(sum: Value | undefined, more: Value): Value {
    if (!sum) return more;
    const g = this.#g, axis = sum.dims.length - 2, before = sum.dims[axis];
    const both = g.add(sum, this.#rows(more, 0, before));
    return g.concat([both, this.#rows(more, before, more.dims[axis])], axis);
  }
}

/** Probabilities of a sample up to which all its heads are taken at once. */
const TOGETHER = 1 << 20;

/** `[batch, length, parts · heads · size]` as `[batch · heads, length, parts · size]`: each head a sample. */
function headsApart(g: Graph, x: Value, parts: number, heads: number): Value {
  const [batch, length, width] = x.dims, size = width / parts / heads;
  const apart = g.reshape(x, [batch, length, parts, heads, size]);
  return g.reshape(g.transpose(apart, [0, 3, 1, 2, 4]), [batch * heads, length, parts * size]);
}

/**
 * A function of the attention of each sample, or of each head if a sample's are much, one at a time where the
 * device has loops.
 *
 * @param inputs `[batch, length, parts · width]`, with so many parts each
 * @param parts of what `f` gives, `[…, length, parts, heads, size]`
 * @returns `[batch, length, parts · width]`
 */
function perSample(
  g: Graph,
  target: Target,
  heads: number,
  inputs: readonly (readonly [Value, number])[],
  mask: Value | null | undefined,
  parts: number,
  f: (attention: Attention, inputs: readonly Value[], unseen: Value, mask?: Value) => Value,
): Value {
  const [[{ type, dims: [batch, length, packed] }]] = inputs, result = packed / 3 * parts;
  const unseen = triangle(g, length, type), masks = mask ? [mask] : [];
  if (!hasLoops(target)) {
    const values = inputs.map(([x]) => x);
    const y = f(new Attention(g, target, heads, values[0]), values, unseen, mask ?? undefined);
    return g.reshape(y, [batch, length, result]);
  }
  const apart = heads > 1 && heads * length * length > TOGETHER;
  const scanned = apart
    ? [
      ...inputs.map(([x, parts]) => headsApart(g, x, parts, heads)),
      ...masks.map((mask) => g.reshape(mask, [batch * heads, 1, length, length])),
    ]
    : [...inputs.map(([x]) => x), ...masks];
  const [y] = eachSlice(g, scanned, [unseen], (inner, slices, [unseen]) => {
    const attention = new Attention(inner, target, apart ? 1 : heads, slices[0]);
    return [f(attention, slices, unseen, mask ? slices.at(-1) : undefined)];
  });
  if (!apart) return g.reshape(y, [batch, length, result]);
  const size = result / parts / heads;
  const each = g.reshape(y, [batch, heads, length, parts, size]);
  return g.reshape(g.transpose(each, [0, 2, 3, 1, 4]), [batch, length, result]);
}

/** Rules for attention. */
export const attentionRules: LoweringRules = {
  "celgc.CausalAttention"(g, { inputs: [qkv, mask], attributes }, target) {
    const heads = intAttribute({ attributes }, "heads", 1);
    return [
      perSample(
        g,
        target,
        heads,
        [[qkv!, 3]],
        mask,
        1,
        (attention, [qkv], unseen, mask) => attention.forward(qkv, unseen, mask),
      ),
    ];
  },
  "celgc.CausalAttentionGradient"(g, { inputs: [qkv, y, dy, mask], attributes }, target) {
    const heads = intAttribute({ attributes }, "heads", 1);
    const inputs = [[qkv!, 3], [y!, 1], [dy!, 1]] as const;
    return [
      perSample(
        g,
        target,
        heads,
        inputs,
        mask,
        3,
        (attention, [qkv, y, dy], unseen, mask) => attention.backward(qkv, y, dy, unseen, mask),
      ),
    ];
  },
};
