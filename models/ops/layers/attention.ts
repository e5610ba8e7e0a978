/** Attention and the positions that go with it, as ONNX has them from opset 23 on. */

import type { Graph, Value } from "../../graph.ts";
import {
  type Application,
  composite,
  intAttribute,
  OperatorError,
  type Operators,
  required,
} from "../../operator.ts";
import { type ElementType, formatDims, sameDims } from "../../tensor.ts";

/** Of masks: what is not seen. The lowest number, which what is added to it does not change. */
const UNSEEN = -3.4028234663852886e38;

/** `[batch, length, heads · size]` as `[batch, heads, length, size]`; itself where it has four axes. */
function headsOf(g: Graph, call: Application, x: Value, attribute: string): Value {
  if (x.dims.length === 4) return x;
  const heads = intAttribute(call, attribute, 0), [batch, length, hidden] = x.dims;
  if (x.dims.length !== 3 || heads < 1 || hidden % heads !== 0) {
    throw new OperatorError(
      call,
      `${x.name} ${formatDims(x.dims)} does not split into ${attribute} = ${heads}`,
    );
  }
  return g.transpose(g.reshape(x, [batch, length, heads, hidden / heads]), [0, 2, 1, 3]);
}

/** Each head as often as there are heads of the query for it. */
function shared(g: Graph, x: Value, times: number): Value {
  if (times === 1) return x;
  const [batch, heads, length, size] = x.dims;
  const each = g.expand(g.unsqueeze(x, [2]), [batch, heads, times, length, size]);
  return g.reshape(each, [batch, heads * times, length, size]);
}

/** 1 where a mask lets nothing be seen, else 0. */
function hiddenBy(g: Graph, mask: Value, type: ElementType): Value {
  if (mask.type === "bool") return g.sub(1, g.cast(mask, type));
  return g.cast(g.op("LessOrEqual", [mask, g.scalar(UNSEEN, mask.type)]), type);
}

/** Attention and rotary positions. */
export const attentionOperators: Operators = {
  /**
   * Vaswani et al. 2017, with fewer heads for keys and values if there are (Ainslie et al. 2023):
   * `[query, key, value, mask, past key, past value]` → the result, and keys and values with the past's.
   */
  Attention: composite((g, call) => {
    const [query, key, value] = ["query", "key", "value"].map((role, i) => required(call, i, role));
    const [, , , mask, pastKey, pastValue] = call.inputs;
    const q = headsOf(g, call, query, "q_num_heads");
    let k = headsOf(g, call, key, "kv_num_heads"), v = headsOf(g, call, value, "kv_num_heads");
    if (call.outputs > 3) {
      throw new OperatorError(
        call,
        "its products of queries and keys as an output are not supported",
      );
    }
    if (pastKey) k = g.concat([pastKey, k], 2);
    if (pastValue) v = g.concat([pastValue, v], 2);
    const [batch, heads, length, size] = q.dims, [, groups, total] = k.dims;
    if (heads % groups !== 0) {
      throw new OperatorError(call, `${heads} heads of the query for ${groups} of the keys`);
    }
    const scale = Number(call.attributes.scale ?? 1 / Math.sqrt(size));
    let scores = g.mul(g.matmul(q, g.transpose(shared(g, k, heads / groups))), scale);
    const softcap = Number(call.attributes.softcap ?? 0);
    if (softcap > 0) scores = g.mul(g.tanh(g.div(scores, softcap)), softcap);
    if (mask?.type === "bool") scores = g.where(mask, scores, UNSEEN);
    else if (mask) scores = g.add(scores, mask);
    let hidden = mask && hiddenBy(g, mask, scores.type);
    if (intAttribute(call, "is_causal", 0)) {
      const past = pastKey?.dims[2] ?? 0;
      const before = Array.from(
        { length: length * total },
        (_, i) => Number(i % total <= Math.floor(i / total) + past),
      );
      const seen = g.constant("bool", [length, total], before);
      scores = g.where(seen, scores, UNSEEN);
      hidden &&= g.where(seen, hidden, 1);
    }
    // A row that sees nothing gives zeros, as in runtimes and in PyTorch, and no gradient passes through it. It is known
    // by the mask alone: scores of weights that have diverged are no numbers, and remain so.
    const isBlind = hidden && g.greater(g.reduce("ReduceMin", hidden, [-1], true), 0);
    const weighted = g.op("Softmax", [isBlind ? g.where(isBlind, 0, scores) : scores], {
      axis: -1,
    });
    const product = g.matmul(weighted, shared(g, v, heads / groups));
    const y = isBlind ? g.where(isBlind, 0, product) : product;
    if (query.dims.length === 4) return [y, k, v].slice(0, Math.max(1, call.outputs));
    const flat = g.reshape(g.transpose(y, [0, 2, 1, 3]), [batch, length, heads * v.dims[3]]);
    return [flat, k, v].slice(0, Math.max(1, call.outputs));
  }),
  /** Su et al. 2021: pairs of features turned by angles that grow with the position. */
  RotaryEmbedding: composite((g, call) => {
    const x = required(call, 0, "data"), flat = x.dims.length === 3, ids = call.inputs[3];
    const heads = headsOf(g, call, x, "num_heads"), [batch, , length, size] = heads.dims;
    const turned = intAttribute(call, "rotary_embedding_dim", 0) || size;
    const interleaved = intAttribute(call, "interleaved", 0) !== 0;
    const [cos, sin] = [1, 2].map((i) => {
      const cache = required(call, i, i === 1 ? "cosines" : "sines");
      const each = ids ? g.op("Gather", [cache, ids], { axis: 0 }) : cache;
      return g.reshape(each, [batch, 1, length, turned / 2]);
    });
    const part = (from: number, to: number, step = 1) => g.slice(heads, [3], [from], [to], [step]);
    const [a, b] = interleaved
      ? [part(0, turned, 2), part(1, turned, 2)]
      : [part(0, turned / 2), part(turned / 2, turned)];
    const pair = [g.sub(g.mul(a, cos), g.mul(b, sin)), g.add(g.mul(a, sin), g.mul(b, cos))];
    const joined = interleaved
      ? g.reshape(g.concat(pair.map((half) => g.unsqueeze(half, [4])), 4), [
        ...heads.dims.slice(0, 3),
        turned,
      ])
      : g.concat(pair, 3);
    const y = turned < size ? g.concat([joined, part(turned, size)], 3) : joined;
    return [flat ? g.reshape(g.transpose(y, [0, 2, 1, 3]), x.dims) : y];
  }),
  /**
   * `[qkv, mask?]`, `heads`: self-attention in which a position sees itself and those before it.
   *
   * qkv `[batch, length, 3 · width]` holds queries, keys and values side by side, each `heads` heads side by
   * side; mask `[batch, heads, length, length]`, if there, multiplies the probabilities (dropout). The
   * result is `[batch, length, width]`. The probabilities are not kept for the gradient, which computes them
   * again: they are length² each head, the operand and the result only length.
   */
  "celgc.CausalAttention": {
    infer: (call) => {
      const { type, dims: [batch, length, width] } = checkPacked(call);
      return [{ type, dims: [batch, length, width / 3] }];
    },
    gradient(g, node, [dy]) {
      const [qkv, mask] = node.inputs;
      const inputs = [qkv, node.results[0], dy!, mask ?? null];
      return [g.op("celgc.CausalAttentionGradient", inputs, node.attributes)];
    },
  },
  /** `[qkv, y, dy, mask?]`, `heads`: its gradient by qkv, of its shape. */
  "celgc.CausalAttentionGradient": { infer: (call) => [checkPacked(call)] },
};

/** Queries, keys and values side by side. */
function checkPacked(call: Application): Value {
  const qkv = required(call, 0, "queries, keys and values"), heads = intAttribute(call, "heads", 0);
  const width = qkv.dims.at(-1)!, mask = call.inputs[call.op.endsWith("Gradient") ? 3 : 1];
  const [batch, length] = qkv.dims, seen = [batch, heads, length, length];
  const fits = qkv.dims.length === 3 && heads >= 1 && width % (3 * heads) === 0 &&
    (!mask || sameDims(mask.dims, seen));
  if (fits) return qkv;
  throw new OperatorError(
    call,
    `it takes [batch, length, 3 · width] with a width that splits into ${heads} heads, and a mask ` +
      "[batch, heads, length, length]",
  );
}
