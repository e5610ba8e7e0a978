import assert from "node:assert/strict";
import { Random } from "../../../../runtime/base/random.ts";
import { parsePartition } from "../../../../tasks/data/sampling/partition.ts";
import { sequenceLength } from "../../../../tasks/data/text/sequence_length.ts";
import { batchify } from "../../../../tasks/data/text/text_columns.ts";
import {
  createTextSampler,
  type TextSampler,
  type TextSamplerOptions,
} from "../../../../tasks/data/text/text_sampler.ts";
import { loadTextCorpus } from "../../../../tasks/data/text/text_corpus.ts";
import { history, worldsOf } from "../_histories.ts";
import { testWithData } from "../_real_data.ts";

/** A text whose token at place i is i. */
const counting = (length: number) => Int32Array.from({ length }, (_, i) => i);

function samplers(ranks: number, options: Partial<TextSamplerOptions>) {
  return Array.from({ length: ranks }, (_, rank) =>
    createTextSampler({
      tokens: counting(2000),
      batchSize: 3,
      rank,
      ranks,
      seed: 5,
      bptt: 20,
      ...options,
    }));
}

Deno.test("sequence lengths have the paper's two normal components and their bounds", () => {
  const n = 40_000;
  let short = 0, sum = 0, square = 0;
  for (let step = 0; step < n; step++) {
    const length = sequenceLength(3, step);
    assert(Number.isInteger(length) && length >= 5 && length < 115);
    // 52.5 lies 3.5 deviations from both means.
    if (length < 52.5) short++;
    else {
      sum += length;
      square += length ** 2;
    }
  }
  assert(Math.abs(short / n - 0.05) < 0.006, `${short} short sequences of ${n}`);
  const mean = sum / (n - short), deviation = Math.sqrt(square / (n - short) - mean ** 2);
  // Rounding towards zero takes half a token off.
  assert(Math.abs(mean - 69.5) < 0.15, `mean ${mean}`);
  assert(Math.abs(deviation - 5) < 0.1, `deviation ${deviation}`);
  const tiny = Array.from({ length: 300 }, (_, step) => sequenceLength(3, step, { bptt: 8 }));
  assert.equal(Math.min(...tiny), 5);
  const cut = Array.from({ length: 300 }, (_, step) => sequenceLength(3, step, { longest: 72 }));
  assert.equal(Math.max(...cut), 72);
  assert.equal(sequenceLength(3, 17), sequenceLength(3, 17));
  assert.throws(() => sequenceLength(3, 0, { bptt: 0 }), /at least 1: found a mean of 0/);
});

Deno.test("columns are consecutive runs, the remainder is left over, a short text is refused", () => {
  const { rows, starts } = batchify(10, 10 + 47, 5);
  assert.equal(rows, 9);
  assert.deepEqual([...starts], [10, 19, 28, 37, 46]);
  assert.throws(() => batchify(0, 8, 3), /8 tokens in 3 columns.*smaller batch/);
  assert.throws(() => batchify(0, 8, 0), /positive integer, not 0/);
});

Deno.test("windows run down the columns without a gap, and the target is the next token", () => {
  const [only] = samplers(1, {});
  const rows = Math.floor(2000 / 3);
  let row = 0, pass = 0;
  for (let step = 0; step < 120; step++) {
    const w = only.window(step);
    assert.equal(w.restart, row === 0);
    assert.equal(w.pass, pass);
    assert.equal(w.input.length, w.length * 3);
    assert(w.length >= 2 && w.length <= only.maxLength);
    for (let t = 0; t < w.length; t++) {
      for (let c = 0; c < 3; c++) {
        assert.equal(w.input[t * 3 + c], c * rows + row + t);
        assert.equal(w.target[t * 3 + c], c * rows + row + t + 1);
      }
    }
    assert.equal(w.drawnLength, sequenceLength(5, step, { bptt: 20 }));
    if (w.length < w.drawnLength) assert.equal(row + w.length, rows - 1); // cut by the end alone
    assert(Math.abs(only.epoch(step) - (pass + row / rows)) < 1e-12);
    row += w.drawnLength;
    if (row >= rows - 2) {
      row = 0;
      pass++;
      assert.equal(only.firstStep(pass), step + 1);
    }
  }
  assert(pass >= 3, "several passes are walked");
});

Deno.test("rotate: rank r reads block (r + epoch) mod N, and all ranks take the same lengths", () => {
  const ranks = 4, all = samplers(ranks, {});
  const rows = Math.floor(2000 / 12);
  for (let step = 0; step < 60; step++) {
    const windows = all.map((s) => s.window(step));
    windows.forEach((w, rank) => {
      assert.equal(w.length, windows[0].length);
      assert.equal(w.restart, windows[0].restart);
      const block = (rank + w.pass) % ranks;
      const row = w.input[0] - block * 3 * rows;
      assert(row >= 0 && row < rows);
      assert.deepEqual(
        [...w.input.subarray(0, 3)],
        [0, 1, 2].map((c) => (block * 3 + c) * rows + row),
      );
    });
  }
  assert(all[0].window(59).pass >= 4, "every rank has read every block");
});

Deno.test("iid: each pass deals all columns out to the ranks, each column once, anew", () => {
  const ranks = 4, all = samplers(ranks, { partition: { kind: "iid" } });
  const rows = Math.floor(2000 / 12), deals = new Set<string>();
  for (let pass = 0; pass < 5; pass++) {
    const step = all[0].firstStep(pass);
    const columns = all.flatMap((s) => {
      const w = s.window(step);
      assert(w.restart && w.pass === pass);
      return [...w.input.subarray(0, 3)].map((token) => token / rows);
    });
    assert.deepEqual([...columns].sort((a, b) => a - b), [...Array(12).keys()]);
    deals.add(columns.join());
  }
  assert.equal(deals.size, 5);
});

Deno.test("proportional: each rank keeps to its part, wraps by itself, and epochs agree", () => {
  const all = samplers(2, { partition: parsePartition("proportional:20,80"), batchSize: 2 });
  const passes = [0, 0];
  for (let step = 0; step < 100; step++) {
    all.forEach((s, rank) => {
      const w = s.window(step), [start, end] = rank === 0 ? [0, 400] : [400, 2000];
      assert(w.input.every((token) => token >= start && token < end));
      assert(w.target.every((token) => token >= start && token < end));
      assert(w.length <= s.maxLength);
      passes[rank] = w.pass;
    });
    assert.equal(all[0].epoch(step), all[1].epoch(step));
  }
  assert(passes[0] > 2 * passes[1], `${passes}: the smaller part is read more often`);
});

Deno.test("a window is a pure function of (seed, rank, step), from whatever step it is asked", () => {
  for (const kind of ["rotate", "iid"] as const) {
    const forward = samplers(3, { partition: { kind } })[1];
    const windows = Array.from({ length: 40 }, (_, step) => forward.window(step));
    const fresh = samplers(3, { partition: { kind } })[1];
    for (const step of [39, 0, 17, 38, 3]) assert.deepEqual(fresh.window(step), windows[step]);
    const other = samplers(3, { partition: { kind }, seed: 6 })[1];
    assert.notDeepEqual(
      Array.from({ length: 40 }, (_, step) => other.window(step).length),
      windows.map((w) => w.length),
    );
  }
});

Deno.test("options out of range are refused", () => {
  assert.throws(() => samplers(1, { rank: 1 }), /from 0 to 0, not 1/);
  assert.throws(() => samplers(1, { batchSize: 0 }), /batch size is a positive integer, not 0/);
  assert.throws(() => samplers(8, { batchSize: 100 }), /2000 tokens in 800 columns/);
  assert.throws(() => samplers(2, { partition: { kind: "whole" } }), /for text take rotate/);
  assert.throws(() => samplers(1, {})[0].window(-1), /a step is an integer/);
  assert.throws(() => samplers(1, {})[0].firstStep(0.5), /an epoch is an integer/);
});

testWithData(
  "ptb",
  "on Penn Treebank an epoch reads nearly every token once, and may be gone on with anywhere",
  async (directory) => {
    const { train } = await loadTextCorpus(directory);
    const ranks = 8, batchSize = 3;
    const make = (rank: number) =>
      createTextSampler({ tokens: train, batchSize, rank, ranks, seed: 1 });
    const all = Array.from({ length: ranks }, (_, rank) => make(rank));
    const steps = all[0].firstStep(1);
    assert(steps > 520 && steps < 620, `${steps} steps an epoch`);
    let read = 0;
    for (let step = 0; step < steps; step++) {
      for (const s of all) read += s.window(step).target.length;
    }
    // What is missing: the remainder of the columns and the first token (and perhaps one row) of each.
    assert(train.length - read >= 24 && train.length - read <= 23 + 2 * 24, `${read} tokens read`);
    assert(make(0).window(100_000).pass > 150, "a run may go on at any step");
  },
);

Deno.test("when ranks become more or fewer, the columns go on from as far down, and begin anew", () => {
  for (const partition of ["rotate", "iid"]) {
    const before = { partition: parsePartition(partition) }, step = 9;
    const old = samplers(2, before)[0], worlds = [{ step: 0, ranks: 2 }, { step, ranks: 4 }];
    const all = samplers(4, { ...before, worlds });
    const done = old.epoch(step), begins = all[0].begins;
    assert.equal(begins.step, step);
    assert(begins.epoch <= done && begins.epoch > done - 0.02, `${begins.epoch} after ${done}`);
    assert(all.every((sampler) => sampler.epoch(step) === begins.epoch));
    const again = samplers(3, { ...before, worlds: [...worlds, { step: step + 4, ranks: 3 }] })[0];
    for (const sampler of [all[0], again]) {
      for (const t of [0, step - 1]) assert.equal(sampler.epoch(t), old.epoch(t), "as it was then");
    }
    assert.equal(again.epoch(step + 3), all[0].epoch(step + 3));
    assert(all.every((sampler) => sampler.window(step).restart));
    assert(!all[0].window(step + 1).restart || all[0].window(step + 1).pass > 0);
    assert.deepEqual(
      all[1].window(step + 3),
      samplers(4, { ...before, worlds })[1].window(step + 3),
    );
    const end = all[0].firstStep(1);
    assert(end > step && all[0].epoch(end) === 1);
    // The same steps as one who has always been of four takes from there.
    assert(end - step <= samplers(4, before)[0].firstStep(1));
  }
});

/** How often each word of each pass has been read by ranks that come and go, up to the end of a pass. */
function readsOf(partition: string, seed: number, length: number, batchSize: number) {
  const random = new Random(seed, "histories"), ranks = 1 + Math.floor(random.uniform() * 4);
  const [last, ...before] = history(random, SEAMS, ranks).reverse();
  const none = { lost: [], joins: [], lostAfter: [] };
  const events = [...before.reverse(), { ...last, ...none }], worlds = worldsOf(events, ranks);
  /** By the number of the pass times the length, and the word. */
  const counts = new Map<number, number>(), owed = new Set<number>();
  const hands = new Map<number, number[]>();
  const keep = (rank: number) => {
    for (const key of hands.get(rank) ?? []) counts.set(key, 1 + (counts.get(key) ?? 0));
    hands.delete(rank);
  };
  const lose = (rank: number) => {
    for (const key of hands.get(rank) ?? []) owed.add(key);
    hands.delete(rank);
  };
  const now = { worlds: worlds[0], members: events[0].members };
  const { kind } = parsePartition(partition), tokens = counting(length);
  let all: TextSampler[] = [], passes = Infinity;
  for (let step = 0;; step++) {
    const event = events[step];
    if (all.length === 0 || worlds[step] && worlds[step] !== now.worlds) {
      if (worlds[step]) Object.assign(now, { worlds: worlds[step], members: event.members });
      const shared = { tokens, batchSize, worlds: now.worlds, bptt: 6, partition: { kind } };
      all = samplers(new Set(now.members).size, shared as Partial<TextSamplerOptions>);
    }
    for (const [place, rank] of now.members.entries()) {
      const { pass, input, target } = all[place].window(step);
      if (!event) passes = Math.min(passes, pass + 1);
      if (pass >= passes) {
        for (const rank of hands.keys()) keep(rank);
        return { counts, passes };
      }
      const hand = hands.get(rank) ?? [];
      for (const [i, word] of input.entries()) {
        assert.equal(target[i], word + 1, "a word is to predict the one that follows");
        // What was lost is read first.
        const earlier = Array.from({ length: pass }, (_, q) => q * length + word);
        const key = earlier.find((key) => owed.has(key)) ?? pass * length + word;
        owed.delete(key);
        hand.push(key);
      }
      hands.set(rank, hand);
    }
    for (const rank of event?.lost ?? []) lose(rank);
    for (const rank of event?.meets ?? []) keep(rank);
    for (const rank of event?.lostAfter ?? []) lose(rank);
  }
}

/** Steps of a history: several passes. */
const SEAMS = 70;

for (const partition of ["rotate", "iid"]) {
  Deno.test(`ranks that come and go read each word of each pass once: ${partition}`, () => {
    const length = 600, batchSize = 2;
    // What does not make columns, a word between two columns, and a last row for which the rule asks two.
    const least = length - 2 * 3 * 4 * batchSize;
    for (let seed = 0; seed < 20; seed++) {
      const { counts, passes } = readsOf(partition, seed, length, batchSize), told = `seed ${seed}`;
      const read = new Int32Array(passes);
      for (const [key, count] of counts) {
        const pass = Math.floor(key / length);
        assert.equal(count, 1, `${told}: word ${key % length} of pass ${pass} is read twice`);
        read[pass]++;
      }
      assert.ok(passes >= 2 && read.every((words) => words >= least), `${told}: ${read} words`);
    }
  });
}
