import assert from "node:assert/strict";
import { attribute } from "../../../../tasks/training/waiting/attribution.ts";
import { MEETINGS, WaitingLog } from "../../../../tasks/training/waiting/waiting_log.ts";

Deno.test("who comes last is waited for by all, and is to blame for it", () => {
  assert.deepEqual(attribute([100, 10, 100, 100]), { forRank: [0, 270, 0, 0], exchange: 10 });
  assert.deepEqual(attribute([20, 20]), { forRank: [0, 0], exchange: 20 });
  assert.deepEqual(attribute([7]), { forRank: [0], exchange: 7 });
  assert.deepEqual(attribute([]), { forRank: [], exchange: 0 });
});

Deno.test("of two that are late each is to blame for half of the time in which both were", () => {
  // One waits 40 ms for both of the others, then two wait 30 ms for the last.
  assert.deepEqual(attribute([80, 40, 10]), { forRank: [0, 20, 20 + 60], exchange: 10 });
});

Deno.test("all that is waited is shared out, whatever the times", () => {
  for (let seed = 1; seed < 50; seed++) {
    const spent = Array.from({ length: 1 + seed % 7 }, (_, i) => (seed * 7919 * (i + 3)) % 101);
    const { forRank, exchange } = attribute(spent);
    const waited = spent.reduce((sum, ms) => sum + ms - Math.min(...spent), 0);
    const shared = forRank.reduce((sum, ms) => sum + ms, 0);
    assert.ok(Math.abs(shared - waited) < 1e-9, `${spent}`);
    assert.equal(exchange, Math.min(...spent));
    assert.ok(forRank.every((ms) => ms >= 0));
  }
});

Deno.test("ranks that took no part are neither waited for nor wait", () => {
  assert.deepEqual(attribute([null, 30, NaN, 10]), { forRank: [0, 0, 0, 20], exchange: 10 });
});

/** What a log says of meetings, all alike. */
function heard(
  spent: readonly (number | null)[],
  { meetings = MEETINGS, stepMs = 200 } = {},
): string[] {
  const lines: string[] = [], log = new WaitingLog([...spent.keys()], (line) => lines.push(line));
  for (let i = 0; i < meetings; i++) {
    log.note([spent], spent.map((sync) => ({ total: stepMs, sync: sync ?? 0 })), []);
  }
  return lines;
}

Deno.test("a straggler is named once, with its share and how slow its steps are", () => {
  const line = "straggler: rank 1, 100 % of all waiting; its steps take 10.0 × the others' time";
  assert.deepEqual(heard([181, 10, 181, 181]), [line]);
  assert.deepEqual(heard([181, 10, 181, 181], { meetings: 5 * MEETINGS }), [line]);
  assert.deepEqual(heard([181, 10, 181, 181], { meetings: MEETINGS - 1 }), []);
});

Deno.test("who is as late as the others, or hardly late at all, is not named", () => {
  assert.deepEqual(heard([30, 30, 30, 30]), []);
  // All waiting is for rank 0, and it is 2 % of the time.
  assert.deepEqual(heard([4, 10, 10], { stepMs: 200 }), []);
  // Ranks are late in turn.
  const lines: string[] = [], log = new WaitingLog([0, 1, 2, 3], (line) => lines.push(line));
  for (let i = 0; i < 64; i++) {
    const spent = [150, 150, 150, 150].map((ms, rank) => rank === i % 4 ? 10 : ms);
    log.note([spent], spent.map((sync) => ({ total: 200, sync })), []);
  }
  assert.deepEqual(lines, []);
  assert.ok(log.summary!.share > 0.4 && log.summary!.stragglers === undefined);
});

Deno.test("one that is a straggler again is named again, a minute after the last time", () => {
  for (const [stepMs, lines] of [[5000, 2], [100, 1]]) {
    const said: string[] = [], log = new WaitingLog([0, 1, 2], (line) => said.push(line));
    const meet = (spent: readonly number[]) => {
      for (let i = 0; i < MEETINGS; i++) {
        const all = spent.map((share) => share * stepMs);
        log.note([all], all.map((sync) => ({ total: stepMs, sync })), []);
      }
    };
    meet([0.9, 0.05, 0.9]);
    meet([0.05, 0.05, 0.05]);
    meet([0.9, 0.05, 0.9]);
    assert.equal(said.length, lines, `${stepMs} ms`);
  }
});

Deno.test("a link over which nothing came is named with its ends, and a silent rank by itself", () => {
  const lines: string[] = [], log = new WaitingLog([0, 1, 2, 3], (line) => lines.push(line));
  const spent = (ms: number) => Array.from({ length: 4 }, () => ({ total: ms + 50, sync: ms }));
  const all = [2100, 2100, 2100, 2100];
  log.note([all], spent(2100), [
    { rank: 3, peer: 1, seconds: 2 },
    { rank: 1, peer: 3, seconds: 1.5 },
  ]);
  assert.deepEqual(lines, [
    "stalled link: ranks 1 and 3, 100 % of all waiting: nothing came for 2.0 s",
  ]);
  log.note([all], spent(2100), [
    { rank: 0, peer: 2, seconds: 2 },
    { rank: 1, peer: 2, seconds: 2 },
    { rank: 2, peer: 1, seconds: 1.5 },
  ]);
  assert.match(
    lines[1],
    /^straggler: rank 2, 50 % of all waiting: it gave no sign of life for 2.0 s$/,
  );
  assert.deepEqual(log.summary!.links, [{ ranks: [1, 3], seconds: 2, share: 0.5 }]);
});

Deno.test("a rank that is late because it computes is not taken for a silent link", () => {
  const lines: string[] = [], log = new WaitingLog([0, 1], (line) => lines.push(line));
  // Rank 1 computed for 3 s and answered nobody meanwhile.
  log.note([[3010, 10]], [{ total: 3110, sync: 3010 }, { total: 3110, sync: 10 }], [
    { rank: 0, peer: 1, seconds: 2.5 },
  ]);
  assert.deepEqual(lines, []);
  assert.equal(log.summary!.links, undefined);
});

Deno.test("when ranks become others what was waited for is still there, by the ranks' numbers in the run", () => {
  const lines: string[] = [], say = (line: string) => lines.push(line);
  const spent = (sync: readonly number[]) => sync.map((ms) => ({ total: 200, sync: ms }));
  const before = new WaitingLog([0, 1, 2], say);
  for (let i = 0; i < MEETINGS / 2; i++) before.note([[150, 150, 0]], spent([150, 150, 0]), []);
  assert.deepEqual(lines, []);
  const carried = before.copy(), share = 300 / 600;
  before.note([[0, 0, 150]], spent([0, 0, 150]), []); // what is done again
  assert.deepEqual(carried.summary, { share, stragglers: [{ rank: 2, share: 1 }] });

  // Rank 1 is lost, and rank 2 has another place; then one comes that has 1's number.
  const without = new WaitingLog([0, 2], say, carried);
  assert.deepEqual(without.summary, carried.summary);
  for (let i = 0; i < MEETINGS / 2; i++) without.note([[150, 0]], spent([150, 0]), []);
  assert.equal(lines.length, 1);
  assert.match(lines[0], /^straggler: rank 2, 100 % of all waiting; its steps take 4\.0 × /);
  const again = new WaitingLog([0, 2, 1], say, without.copy());
  for (let i = 0; i < 2 * MEETINGS; i++) again.note([[150, 0, 150]], spent([150, 0, 150]), []);
  assert.equal(lines.length, 1, "it was named a moment ago");
  for (let i = 0; i < 2 * MEETINGS; i++) again.note([[150, 150, 0]], spent([150, 150, 0]), []);
  const { share: all, stragglers } = again.summary!;
  const times = MEETINGS / 2 * (600 + 400) + 4 * MEETINGS * 600;
  const waited = [MEETINGS / 2 * (300 + 150) + 2 * MEETINGS * 300, 2 * MEETINGS * 300];
  assert.ok(Math.abs(all - (waited[0] + waited[1]) / times) < 1e-12, `${all}`);
  assert.deepEqual(stragglers!.map(({ rank }) => rank), [2]);
  assert.match(lines[1], /^straggler: rank 1, 100 % /);
});
