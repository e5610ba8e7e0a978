/** Processes that come to the rendezvous of a running job: who hears of it, and what counts once. */

import assert from "node:assert/strict";
import { checkRankMessage, checkServerMessage } from "../../../runtime/rendezvous/messages.ts";
import { Newcomers } from "../../../runtime/rendezvous/newcomers.ts";

const entry = { host: "c", endpoints: [{ kind: "tcp", hostname: "10.0.0.3", port: 5 }] } as const;
const join = { type: "join", pid: 7, onFailure: "return", ...entry } as const;

/** Newcomers of a job of two ranks, and all that is said. */
function open() {
  const said: [to: number | "all", message: unknown][] = [], admitted: number[] = [];
  const newcomers = new Newcomers({
    hosts: () => ["a", "b"],
    announce: (message) => said.push(["all", checkServerMessage(message, 2)]),
    tell: (rank, message) => said.push([rank, checkServerMessage(message, 2)]),
    admitted: (rank) => admitted.push(rank),
  });
  return { newcomers, said, admitted };
}

Deno.test("a newcomer is announced, invited once, and told once what it is in", () => {
  const { newcomers, said, admitted } = open();
  newcomers.expect(3);
  assert.deepEqual([newcomers.isExpected(3), newcomers.isExpected(4)], [true, false]);
  newcomers.knock(3, join);
  const invite = { type: "invite", rank: 3, members: [0, 1], newcomers: [3] } as const;
  const welcome = { type: "welcome", rank: 3, context: 5, members: [0, 1, 3] } as const;
  newcomers.welcome(welcome); // nobody has invited it
  for (let member = 0; member < 2; member++) newcomers.invite(invite);
  for (let member = 0; member < 2; member++) newcomers.welcome(welcome);
  newcomers.gone(3); // as a rank, of which others tell
  assert.deepEqual(said, [
    ["all", { type: "knock", rank: 3, entry }],
    [3, { type: "invited", members: [0, 1], newcomers: [[3, entry]], hosts: ["a", "b", "", "c"] }],
    ["all", { type: "knock", rank: 3, entry: null }],
    [3, welcome],
  ]);
  assert.deepEqual(admitted, [3]);
});

Deno.test("one that goes before it is let in is taken back; one let in hears who waits still", () => {
  const { newcomers, said, admitted } = open();
  for (const rank of [2, 3, 4]) newcomers.expect(rank);
  for (const rank of [2, 3, 4]) newcomers.knock(rank, join);
  newcomers.gone(2);
  assert.deepEqual(said.at(-1), ["all", { type: "knock", rank: 2, entry: null }]);
  newcomers.invite({ type: "invite", rank: 3, members: [0], newcomers: [3] });
  newcomers.welcome({ type: "welcome", rank: 3, context: 1, members: [0] }); // not let in
  assert.deepEqual(said.slice(-2), [
    [3, { type: "knock", rank: 4, entry }],
    [3, { type: "welcome", rank: 3, context: 1, members: [0] }],
  ]);
  assert.deepEqual(admitted, []);
  assert.throws(() => newcomers.knock(4, join), /rank 4 joined twice/);
  assert.throws(() => newcomers.knock(9, join), /rank 9 joined twice/);
});

Deno.test("what is said about newcomers is looked at", () => {
  for (
    const message of [
      { type: "invite", rank: 2 ** 20, members: [], newcomers: [] },
      { type: "invite", rank: 2, members: [-1], newcomers: [] },
      { type: "invite", rank: 2, members: "0", newcomers: [] },
      { type: "welcome", rank: 2, context: 0.5, members: [] },
    ]
  ) {
    assert.throws(() => checkRankMessage(message), TypeError, JSON.stringify(message));
  }
  for (
    const message of [
      { type: "knock", rank: 2, entry: {} },
      { type: "knock", rank: 2, entry: { ...entry, endpoints: [{ kind: "tcp" }] } },
      { type: "invited", members: [], newcomers: [[2]], hosts: [] },
      { type: "invited", members: [], newcomers: [], hosts: [1] },
      { type: "welcome", rank: 2, context: 1, members: [2 ** 20] },
    ]
  ) {
    assert.throws(() => checkServerMessage(message, 2), TypeError, JSON.stringify(message));
  }
  assert.equal(checkServerMessage({ type: "lost", rank: 9, reason: "" }, 2, 2 ** 20).type, "lost");
  assert.throws(() => checkServerMessage({ type: "lost", rank: 9, reason: "" }, 2), /lost rank 9/);
});
