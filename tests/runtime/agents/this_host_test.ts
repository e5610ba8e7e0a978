import assert from "node:assert/strict";
import { addressesOf, ownAddresses, thisHost } from "../../../runtime/agents/this_host.ts";

Deno.test("a host is the same for all of its processes, and CELGC_HOST makes it another", () => {
  const { name, identity } = thisHost();
  assert.deepEqual(thisHost(), { name, identity });
  Deno.env.set("CELGC_HOST", "elsewhere");
  try {
    assert.equal(thisHost().name, "elsewhere");
    assert.notEqual(thisHost().identity, identity);
  } finally {
    Deno.env.delete("CELGC_HOST");
  }
});

Deno.test("where to listen is an address, a network or a card", () => {
  assert.deepEqual(addressesOf("192.0.2.77"), ["192.0.2.77"]);
  assert.deepEqual(addressesOf("node7"), ["node7"]);
  assert.ok(addressesOf("lo").includes("127.0.0.1"));
  assert.ok(addressesOf("127.0.0.0/8").includes("127.0.0.1"));
  assert.throws(() => addressesOf("198.51.100.0/24"), /no address in 198\.51\.100\.0\/24; it has/);
  for (const address of ownAddresses()) assert.doesNotMatch(address, /^127\.|^::1$|^fe80:/);
});
