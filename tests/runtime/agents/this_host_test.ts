import assert from "node:assert/strict";
import {
  addressesOf,
  type HostFacts,
  ownAddresses,
  thisHost,
} from "../../../runtime/agents/this_host.ts";
import { deno } from "../../_helpers/deno.ts";

/** This host, as another process sees it. */
async function hostSeen(env: Record<string, string>): Promise<HostFacts> {
  const module = import.meta.resolve("../../../runtime/agents/this_host.ts");
  const script = `import { thisHost } from "${module}"; console.log(JSON.stringify(thisHost()))`;
  const { stdout, stderr } = await deno(["eval", "--no-check", script], { env });
  assert.equal(stderr, "");
  return JSON.parse(stdout);
}

Deno.test("a host is the same for all of its processes, and CELGC_HOST makes it another", async () => {
  const { name, identity } = thisHost();
  const [same, other] = await Promise.all([hostSeen({}), hostSeen({ CELGC_HOST: "elsewhere" })]);
  assert.deepEqual(same, { name, identity });
  assert.equal(other.name, "elsewhere");
  assert.notEqual(other.identity, identity);
});

Deno.test("where to listen is an address, a network or a card", () => {
  assert.deepEqual(addressesOf("192.0.2.77"), ["192.0.2.77"]);
  assert.deepEqual(addressesOf("node7"), ["node7"]);
  assert.ok(addressesOf("lo").includes("127.0.0.1"));
  assert.ok(addressesOf("127.0.0.0/8").includes("127.0.0.1"));
  assert.throws(() => addressesOf("198.51.100.0/24"), /no address in 198\.51\.100\.0\/24; it has/);
  for (const address of ownAddresses()) assert.doesNotMatch(address, /^127\.|^::1$|^fe80:/);
});
