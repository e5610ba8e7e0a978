import assert from "node:assert/strict";
import { ALGORITHM_NAMES, ALGORITHMS, createAlgorithm } from "../../optimizers/mod.ts";
import { takersOf } from "../../optimizers/registry.ts";
import { defaultOptions } from "../../tasks/options/table.ts";

const OPTIONS = { ...defaultOptions(), interval: 3 };

/** Steps from 1 to 12 at which the weights are averaged. */
const averaging = (name: typeof ALGORITHM_NAMES[number]) => {
  const { exchange } = createAlgorithm(name, OPTIONS);
  return Array.from({ length: 12 }, (_, i) => i + 1).filter((t) => exchange(t).weights !== "none");
};

for (const name of ALGORITHM_NAMES) {
  Deno.test(`what the table says of ${name} is what is made of it`, () => {
    const { rounds, takes, refuses = [], ranks, meetsAtOnePoint } = ALGORITHMS[name];
    const algorithm = createAlgorithm(name, OPTIONS);
    assert.equal(algorithm.name, name);
    const expected = { "none": null, "every-step": 1, "interval": 3 }[rounds];
    assert.equal(algorithm.interval, expected);
    const steps = averaging(name);
    assert.equal(steps.length, expected === null ? 0 : 12 / expected);
    assert.equal(takes.includes("interval"), rounds === "interval");
    assert.equal(takes.includes("ranks"), ranks !== "one");
    assert.equal(takes.includes("participants"), ranks === "drawn");
    assert.equal(meetsAtOnePoint && ranks === "drawn", algorithm.undrawn === "waits");
    assert.ok(refuses.every((option) => !takes.includes(option)));
  });

  Deno.test(`${name} takes --overlap and --sync-every where the table says so, and else refuses`, () => {
    const attempts = { overlap: { overlap: true }, syncEvery: { syncEvery: 2, interval: 1 } };
    for (const [option, given] of Object.entries(attempts)) {
      const make = () => createAlgorithm(name, { ...OPTIONS, ...given });
      if (takersOf(option as keyof typeof attempts).includes(name)) make();
      else assert.throws(make, RangeError);
    }
  });
}
