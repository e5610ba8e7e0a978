import assert from "node:assert/strict";
import { type Algorithm, createAlgorithm, PLAIN_STEP } from "../../../../optimizers/mod.ts";
import { ALGORITHM_NAMES, ALGORITHMS } from "../../../../optimizers/registry.ts";
import { gradientSyncs } from "../../../../optimizers/rounds/gradient_syncs.ts";
import { OptionError } from "../../../../tasks/options/kinds.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import { checkOwnAlgorithm } from "../../../../tasks/training/opening/own_algorithm.ts";
import type { Membership } from "../../../../tasks/training/opening/run_start.ts";

const STEPS = 24;

/** Clipped local steps, averaged after every fourth. */
const own: Algorithm = {
  name: "own",
  update: { ...PLAIN_STEP, clips: true },
  interval: 4,
  exchange: (t) => ({ gradients: "none", weights: t % 4 === 0 ? "after" : "none" }),
  driftBound: () => null,
};

/** Checks it in a run of three ranks. */
function check(
  algorithm: Algorithm,
  given: Partial<Options> = {},
  membership: Membership = "fixed",
  optimizer = false,
): void {
  checkOwnAlgorithm(algorithm, {
    options: resolveOptions({ ranks: 3, ...given }),
    ...{ ranks: 3, membership, steps: STEPS, optimizer },
    syncs: gradientSyncs(algorithm, STEPS),
  });
}

/** Whether something is refused, which it is with an error of a class. */
function refuses(kind: typeof RangeError | typeof OptionError, attempt: () => void): boolean {
  try {
    attempt();
    return false;
  } catch (error) {
    assert.ok(error instanceof kind, `${error}`);
    return true;
  }
}

Deno.test("an algorithm of one's own goes with whatever celgc goes with", () => {
  check(own);
  check(own, { participants: 2 });
  check(own, { compress: "int8", checkpointEvery: 4 });
  check(own, { onNan: "skip" });
  for (const membership of ["live", "punctual", "replayed"] as const) check(own, {}, membership);
});

Deno.test("an algorithm of one's own has its update rule, and no other beside it", () => {
  assert.throws(
    () => check(own, {}, "fixed", true),
    /^RangeError: cannot train by own, the algorithm of one's own: parts\.optimizer does not reach it/,
  );
});

Deno.test("an algorithm of one's own that needs all ranks is not given some of them", () => {
  const outer = { ...own, outer: { move() {} } };
  assert.throws(() => check(outer, { participants: 2 }), /needs all 3 ranks in every round/);
  check(outer, { participants: 3 });
});

// Ranks that exchange nothing have nobody to lose.
const names = ALGORITHM_NAMES.filter((name) => ALGORITHMS[name].rounds !== "none");

for (
  const [what, given, membership] of [
    ["onFailure shrink", { onFailure: "shrink" }, "live"],
    ["maxWait", { maxWait: 2 }, "punctual"],
    ["onNan skip", { onNan: "skip" }, "fixed"],
  ] as const
) {
  Deno.test(`${what} goes with an algorithm of one's own as it goes with the same by its name`, () => {
    const outcomes = names.map((name) => {
      const algorithm = createAlgorithm(name, resolveOptions({ ranks: 3, algorithm: name }));
      const byName = refuses(
        OptionError,
        () => resolveOptions({ ranks: 3, algorithm: name, ...given }),
      );
      const asOwn = refuses(RangeError, () => check(algorithm, given, membership));
      assert.equal(asOwn, byName, name);
      return asOwn;
    });
    assert.deepEqual(new Set(outcomes), new Set([true, false]));
  });
}

Deno.test("overlap, averages before steps and rounds by the clock need ranks that stay", () => {
  const options = resolveOptions({ ranks: 3 });
  const kinds = [
    createAlgorithm("celgc", { ...options, overlap: true }),
    createAlgorithm("celgc", { ...options, average: "before" }),
    createAlgorithm("celgc", resolveOptions({ ranks: 3, syncEvery: 1 })),
  ];
  for (const algorithm of kinds) {
    check(algorithm);
    for (const membership of ["live", "punctual", "replayed"] as const) {
      assert.throws(() => check(algorithm, {}, membership), /ranks can leave and come/);
    }
  }
});
