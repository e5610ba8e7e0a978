/**
 * The layers of a GPT, for whole windows or for one token more.
 *
 * @module
 */

import type { GptConfig } from "./gpt_options.ts";
import type { Graph, Value } from "../graph.ts";
import { filled, type Initializer, type LayerBuilder } from "./layers.ts";
import { sizeOf } from "../tensor.ts";

/** Normal with mean 0. */
function normal(deviation: number): Initializer {
  return (dims, random) =>
    Float32Array.from({ length: sizeOf(dims) }, () => deviation * random.normal());
}

/** GPT-2's deviation of the first weights. */
const DEVIATION = 0.02;
/** How fast the slowest pair of features turns (Su et al. 2021, section 3.2.2). */
const BASE = 10_000;

/** How much is cached of a sequence: where the next token stands, and how long the sequence can be. */
type Place = { readonly position: Value };

/** Declares a GPT's variables and appends its layers to a builder's graph. */
export class GptBlocks {
  readonly #g: Graph;

  /** Where to append, and the network's options. */
  constructor(readonly layers: LayerBuilder, readonly config: GptConfig) {
    this.#g = layers.graph;
  }

  /** Tokens int32 `[batch, length]` to logits `[batch · length, vocabulary]`. */
  windows(input: Value): Value {
    const g = this.#g, [batch, length] = input.dims, { width, layers } = this.config;
    const [tokens, places] = this.#embeddings();
    let x = g.op("Gather", [tokens, input], { axis: 0 });
    if (places) x = g.add(x, g.slice(places, [0], [0], [length]));
    x = g.reshape(this.#drop("transformer.drop", x), [-1, width]);
    for (let l = 0; l < layers; l++) {
      x = this.#block(`transformer.h.${l}`, x, [batch, length], (name, qkv) => {
        const turned = this.#turned(qkv, length, null);
        const mask = this.#mask(`${name}.attn_dropout`, [batch, this.config.heads, length, length]);
        const y = g.op("celgc.CausalAttention", mask ? [turned, mask] : [turned], {
          heads: this.config.heads,
        });
        return g.reshape(y, [-1, width]);
      });
    }
    return this.#head(x, tokens);
  }

  /** A token int32 `[1, 1]` at a position int32 `[]`, after those that are carried, to logits `[1, vocabulary]`. */
  token(input: Value, position: Value): Value {
    const g = this.#g, { width, layers } = this.config;
    const [tokens, places] = this.#embeddings();
    let x = g.reshape(g.op("Gather", [tokens, input], { axis: 0 }), [1, width]);
    if (places) x = g.add(x, g.op("Gather", [places, g.reshape(position, [1])], { axis: 0 }));
    for (let l = 0; l < layers; l++) {
      x = this.#block(
        `transformer.h.${l}`,
        x,
        [1, 1],
        (name, qkv) => this.#cached(name, this.#turned(qkv, 1, position), { position }),
      );
    }
    return this.#head(x, tokens);
  }

  #embeddings(): [tokens: Value, places: Value | null] {
    const { vocabulary, width, context, positions } = this.config;
    const tokens = this.#weight("transformer.wte.weight", [vocabulary, width]);
    const learned = positions === "learned";
    return [tokens, learned ? this.#weight("transformer.wpe.weight", [context, width]) : null];
  }

  /** x + attention(norm(x)), then x + mlp(norm(x)); x is `[batch · length, width]`. */
  #block(
    name: string,
    x: Value,
    [batch, length]: readonly [number, number],
    attend: (name: string, qkv: Value) => Value,
  ): Value {
    const g = this.#g, { width, layers } = this.config, rows = [batch, length, width];
    g.scope = `${name.slice("transformer.".length)}/`;
    // Each block adds twice to what the next ones see (Radford et al. 2019, section 2.3).
    const added = DEVIATION / Math.sqrt(2 * layers);
    const drop = (what: string, y: Value) =>
      this.config.dropout === 0 || this.layers.mode !== "train"
        ? y
        : g.reshape(this.#drop(`${name}.${what}`, g.reshape(y, rows)), [-1, width]);
    const qkv = this.#linear(`${name}.attn.c_attn`, this.#norm(`${name}.ln_1`, x), 3 * width);
    const seen = attend(`${name}.attn`, g.reshape(qkv, [batch, length, 3 * width]));
    const attention = this.#linear(`${name}.attn.c_proj`, seen, width, added);
    const between = g.add(x, drop("attn.resid_dropout", attention));
    const wide = this.#linear(`${name}.mlp.c_fc`, this.#norm(`${name}.ln_2`, between), 4 * width);
    const active = g.op("Gelu", [wide], { approximate: "tanh" });
    const mlp = this.#linear(`${name}.mlp.c_proj`, active, width, added);
    const y = g.add(between, drop("mlp.dropout", mlp));
    g.scope = "";
    return y;
  }

  /** Attention of one token to those before it, whose keys and values are carried. */
  #cached(name: string, qkv: Value, { position }: Place): Value {
    const g = this.#g, { heads, width, context } = this.config, size = width / heads;
    const [q, k, v] = [0, 1, 2].map((i) =>
      g.reshape(g.slice(qkv, [2], [i * width], [(i + 1) * width]), [heads, 1, size])
    );
    const places = g.constant(
      "int32",
      [context, 1],
      Array.from({ length: context }, (_, i) => i),
    );
    const here = g.equal(places, position);
    const [keys, values] = ([["keys", k], ["values", v]] as const).map(([what, added]) => {
      const before = this.layers.variable(
        `${name}.${what}`,
        [heads, context, size],
        "carry",
        filled(0),
      );
      const after = g.where(here, added, before);
      this.layers.update(before, after);
      return after;
    });
    const scores = g.mul(g.matmul(q, g.transpose(keys)), 1 / Math.sqrt(size));
    const later = g.cast(g.greater(g.reshape(places, [context]), position), "float32");
    const seen = g.op("Softmax", [g.add(scores, g.mul(later, -1e30))], { axis: -1 });
    return g.reshape(g.matmul(seen, values), [1, width]);
  }

  /** Queries and keys turned by their positions, if those are rotary: from 0 on, or the one that is given. */
  #turned(qkv: Value, length: number, position: Value | null): Value {
    const { heads, width, context, positions } = this.config, g = this.#g;
    if (positions === "learned") return qkv;
    const half = width / heads / 2, batch = qkv.dims[0];
    const [cosines, sines] = [Math.cos, Math.sin].map((f) => {
      const table = this.#angles(position ? context : length, half, f);
      return position ? g.op("Gather", [table, g.reshape(position, [1])], { axis: 0 }) : table;
    });
    // The values are turned by nothing. Halves of a head are pairs, as in GPT-NeoX.
    const x = g.reshape(qkv, [batch, length, 3, heads, 2, half]);
    const turned = g.add(g.mul(x, cosines), g.mul(g.flip(x, [4]), sines));
    return g.reshape(turned, [batch, length, 3 * width]);
  }

  /** `[length, 3, 1, 2, half]`: of each place, for queries, keys and values, for both halves of a head. */
  #angles(length: number, half: number, f: (angle: number) => number): Value {
    const sine = f === Math.sin, data: number[] = [];
    for (let place = 0; place < length; place++) {
      for (let part = 0; part < 3; part++) {
        for (let side = 0; side < 2; side++) {
          for (let i = 0; i < half; i++) {
            const value = f(part === 2 ? 0 : place * BASE ** (-i / half));
            data.push(sine && side === 0 ? -value : value);
          }
        }
      }
    }
    return this.#g.constant("float32", [length, 3, 1, 2, half], data);
  }

  #head(x: Value, tokens: Value): Value {
    const last = this.#norm("transformer.ln_f", x);
    return this.#g.op("Gemm", [last, tokens], { alpha: 1, beta: 1, transA: 0, transB: 1 });
  }

  #weight(name: string, dims: readonly number[], deviation = DEVIATION): Value {
    return this.layers.variable(name, dims, "parameter", normal(deviation));
  }

  /** x · W + b with W `[inputs, outputs]`. */
  #linear(name: string, x: Value, outputs: number, deviation = DEVIATION): Value {
    const weight = this.#weight(`${name}.weight`, [x.dims[1], outputs], deviation);
    const bias = this.layers.variable(`${name}.bias`, [outputs], "parameter", filled(0));
    return this.#g.op("Gemm", [x, weight, bias], { alpha: 1, beta: 1, transA: 0, transB: 0 });
  }

  #norm(name: string, x: Value): Value {
    const dims = x.dims.slice(-1);
    const weight = this.layers.variable(`${name}.weight`, dims, "parameter", filled(1));
    const bias = this.layers.variable(`${name}.bias`, dims, "parameter", filled(0));
    return this.#g.op("LayerNormalization", [x, weight, bias], { axis: -1, epsilon: 1e-5 });
  }

  /** A dropout mask, where there is dropout. */
  #mask(name: string, dims: readonly number[]): Value | null {
    if (this.layers.mode !== "train" || this.config.dropout === 0) return null;
    return this.#g.input(name, "float32", dims);
  }

  #drop(name: string, x: Value): Value {
    const mask = this.#mask(name, x.dims);
    return mask ? this.#g.mul(x, mask) : x;
  }
}
