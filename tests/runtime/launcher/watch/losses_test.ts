import assert from "node:assert/strict";
import { findRootCause, type RankStatus } from "../../../../runtime/launcher/root_cause.ts";
import { Losses } from "../../../../runtime/launcher/watch/losses.ts";
import { statusOf } from "../../../../runtime/launcher/watch/respawns.ts";

/** Ends ranks 0, 2 and 1 in this order, the others going on meanwhile; the last in a way of its own. */
function causeOf(last: { readonly code: number; readonly signal: string | null }) {
  const ranks = Array.from({ length: 3 }, (): RankStatus => ({ ...statusOf("a"), joined: true }));
  const lost: number[] = [];
  const losses = new Losses(ranks, {
    announce() {},
    kill() {},
    after() {},
    lost: (rank) => lost.push(rank),
  });
  const end = (rank: number, exit: { readonly code: number; readonly signal: string | null }) => {
    ranks[rank].exit = { ...exit, lost: null, order: ranks.filter(({ exit }) => exit).length };
    losses.check();
    const report = {
      type: "report",
      message: `lost rank ${rank}`,
      operation: null,
      step: 7,
      lost: rank,
    } as const;
    for (const other of ranks) if (!other.exit) other.losses.push(report);
  };
  end(0, { code: 137, signal: "SIGKILL" });
  end(2, { code: 137, signal: "SIGKILL" });
  end(1, last);
  losses.settle();
  assert.deepEqual(lost, [0, 2]);
  return findRootCause(ranks);
}

Deno.test("a job whose ranks are all killed failed with the last, which had gone on without the others", () => {
  assert.equal(causeOf({ code: 137, signal: "SIGKILL" }), 1);
});

Deno.test("a rank that ends by itself after others were lost may have ended because of them", () => {
  assert.equal(causeOf({ code: 1, signal: null }), 0);
});
