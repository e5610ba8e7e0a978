import assert from "node:assert/strict";
import { parseHostfile, parseHosts } from "../../../runtime/agents/hostfile.ts";

Deno.test("hosts are read from a list", () => {
  assert.deepEqual(parseHosts("a:4,b:4"), [{ name: "a", slots: 4 }, { name: "b", slots: 4 }]);
  assert.deepEqual(parseHosts("a, me@b.example:2, a:2"), [
    { name: "a", slots: 3 },
    { name: "me@b.example", slots: 2 },
  ]);
  assert.deepEqual(parseHosts("[fd00::1]:4,10.0.0.1"), [
    { name: "fd00::1", slots: 4 },
    { name: "10.0.0.1", slots: 1 },
  ]);
  for (const wrong of ["", "a:", "a:0", "a:x", "a b", "-oProxyCommand=x:1", "a:99999999"]) {
    assert.throws(() => parseHosts(wrong), RangeError, wrong);
  }
  assert.throws(() => parseHosts("a:x"), { message: /^--hosts takes host:ranks, .* not "a:x"$/ });
  assert.throws(() => parseHosts("a:0"), { message: /1 to 65536 ranks, not "0", in --hosts a:0$/ });
});

Deno.test("hostfiles are read as Open MPI reads them", () => {
  const text = `# two nodes
node1 slots=4 max_slots=8
node2   slots = 2   # half of it
node3

node1 slots=1
node4 max-slots=2 user=me`;
  assert.deepEqual(parseHostfile(text), [
    { name: "node1", slots: 5 },
    { name: "node2", slots: 2 },
    { name: "node3", slots: 1 },
    { name: "me@node4", slots: 1 },
  ]);
  for (
    const [wrong, message] of [
      ["", /names no host/],
      ["a slots=4 max_slots=2", /line 1 .*slots=4 is more than max_slots=2/],
      ["\na speed=2", /line 2 .*"speed=2" is not understood/],
      ["a slots=0", /1 to 65536 ranks, not "0"/],
      ["-x", /does not begin with "-"/],
    ] as [string, RegExp][]
  ) assert.throws(() => parseHostfile(wrong), message);
});
