/** The choice between direct exchange and two levels, from times as they might be measured. */

import assert from "node:assert/strict";
import { AllreduceChoice, Decision } from "../../../runtime/collectives/allreduce_choice.ts";

const AABB = { size: 4, hosts: [[0, 1], [2, 3]] };
const BYTES = 4_000_000;

/** How often each decision fell in some calls that took as long as `seconds` says. */
function decisions(
  choice: AllreduceChoice,
  calls: number,
  seconds: { direct: number; twoLevel: number },
  bytes = BYTES,
): number[] {
  const counts = [0, 0, 0];
  for (let i = 0; i < calls; i++) {
    const decision = choice.next(bytes);
    counts[decision]++;
    const took = decision === Decision.DIRECT ? seconds.direct : seconds.twoLevel;
    choice.noteTime(decision, bytes, took);
    if (decision === Decision.TWO_LEVEL_AND_PROBE) choice.noteNetwork(network);
  }
  return counts;
}
let network = { latencySeconds: 0, bytesPerSecond: 0 };

Deno.test("where the wire is slow direct exchange is never tried", () => {
  network = { latencySeconds: 1e-3, bytesPerSecond: 12.5e6 }; // 8 MB a host: 0.64 s
  const choice = new AllreduceChoice(AABB);
  assert.deepEqual(decisions(choice, 1000, { direct: 0.7, twoLevel: 0.35 }), [0, 999, 1]);
});

Deno.test("where the wire is fast both are tried, and the faster one stays", () => {
  network = { latencySeconds: 1e-5, bytesPerSecond: 1e10 };
  const slow = new AllreduceChoice(AABB), fast = new AllreduceChoice(AABB);
  assert.deepEqual(decisions(slow, 100, { direct: 0.03, twoLevel: 0.02 }), [3, 96, 1]);
  const [direct, twoLevel] = decisions(fast, 100, { direct: 0.01, twoLevel: 0.019 });
  assert.deepEqual([direct, twoLevel], [97, 2]);
  // Each size by itself; what takes more than twice as long is not tried again.
  assert.deepEqual(decisions(fast, 1000, { direct: 0.9, twoLevel: 0.3 }, 64 * BYTES), [1, 999, 0]);
});

Deno.test("a choice is looked at again when times have changed", () => {
  network = { latencySeconds: 1e-5, bytesPerSecond: 1e10 };
  const choice = new AllreduceChoice(AABB);
  decisions(choice, 100, { direct: 0.03, twoLevel: 0.02 });
  const [direct] = decisions(choice, 1000, { direct: 0.01, twoLevel: 0.02 });
  assert.ok(direct > 800, `${direct} of 1000`);
});
