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
    inquire() {},
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

/** Ranks 0 and 1 are on one host, 2 and 3 on another; 2 has lost 0, and right after that 1 has lost 3. */
function cutApart(isAlive: (rank: number) => boolean) {
  const ranks = ["a", "a", "b", "b"].map((host): RankStatus => ({
    ...statusOf(host),
    joined: true,
  }));
  const killed: number[] = [], later: (() => void)[] = [];
  const losses = new Losses(ranks, {
    announce() {},
    kill: (rank) => killed.push(rank),
    inquire() {
      for (const [rank, status] of ranks.entries()) if (isAlive(rank)) status.pending = [];
    },
    after: (_, act) => later.push(act),
    lost() {},
  });
  losses.reported(2, 0, "it gave no sign of life");
  losses.reported(1, 3, "it gave no sign of life");
  for (const act of later) act(); // what comes up meanwhile as well
  return killed;
}

Deno.test("of two hosts that complain of each other that goes which was complained of first", () => {
  assert.deepEqual(cutApart(() => true), [0, 1]);
});

Deno.test("one that gives no sign of life goes, whoever complains of it", () => {
  assert.deepEqual(cutApart((rank) => rank !== 3), [0, 3]);
});

/** Rank 0 of three has lost rank 1, then ends itself. Returns who is ended. */
function complaintOfOneThatEnds(signal: string | null, isAlive: boolean) {
  const ranks = Array.from({ length: 3 }, (): RankStatus => ({ ...statusOf("a"), joined: true }));
  const killed: number[] = [], later: (() => void)[] = [];
  const losses = new Losses(ranks, {
    announce() {},
    kill: (rank) => killed.push(rank),
    inquire() {
      if (isAlive) ranks[1].pending = [];
    },
    after: (_, act) => later.push(act),
    lost() {},
  });
  losses.reported(0, 1, "it gave no sign of life");
  ranks[0].exit = { code: signal === null ? 1 : 137, signal, lost: null, order: 0 };
  losses.check();
  for (const act of later) act(); // what comes up meanwhile as well
  return killed;
}

Deno.test("one that others have lost goes, also if who said so was killed since", () => {
  assert.deepEqual(complaintOfOneThatEnds("SIGKILL", false), [1]);
  assert.deepEqual(complaintOfOneThatEnds("SIGKILL", true), [1]);
});

Deno.test("one that others have lost goes on if it is alive, and who said so has ended by itself", () => {
  assert.deepEqual(complaintOfOneThatEnds(null, true), []);
  assert.deepEqual(complaintOfOneThatEnds(null, false), [1]);
});
