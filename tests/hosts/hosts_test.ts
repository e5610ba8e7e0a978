/** Hosts that are network namespaces: what the other tests of this folder stand on. */

import assert from "node:assert/strict";
import { leftOn, makeHosts, namespacesNote, noNamespaces } from "./_hosts.ts";

Deno.test({
  name: `three hosts have names and addresses, count bytes, and lose a cable${namespacesNote}`,
  ignore: noNamespaces !== null,
  async fn() {
    await using hosts = await makeHosts(3);
    const [a, b, c] = hosts.all;
    assert.equal((await b.run(["hostname"])).stdout, "host-b\n");
    const serve = `const l = Deno.listen({ hostname: "::", port: 4000 });
      console.log("ready");
      for await (const connection of l) connection.readable.pipeTo(new WritableStream());`;
    const server = b.start([Deno.execPath(), "eval", serve]);
    await server.printed(/ready/);
    const dial = (to: string) => [
      ...[Deno.execPath(), "eval"],
      `const c = await Deno.connect({ hostname: ${JSON.stringify(to)}, port: 4000 });
       const data = new Uint8Array(1 << 20);
       for (let n = 0; n < data.length;) n += await c.write(data.subarray(n));
       await c.closeWrite(); console.log(c.localAddr.hostname);`,
    ];
    const before = [await a.traffic(), await b.traffic(), await c.traffic()];
    assert.equal((await a.run(dial("host-b"))).stdout, `${a.address}\n`);
    const after = [await a.traffic(), await b.traffic(), await c.traffic()];
    const sent = after[0].sent - before[0].sent, taken = after[1].received - before[1].received;
    for (const bytes of [sent, taken]) {
      assert.ok(bytes > 2 ** 20 && bytes < 1.1 * 2 ** 20, `${bytes}`);
    }
    assert.ok(after[2].received - before[2].received < 10_000, "the third host sees none of it");
    assert.equal((await c.run(dial(b.address6))).stdout, `${c.address6}\n`);
    assert.equal((await leftOn(hosts, 0)).length, 1);
    await b.cut();
    assert.equal((await c.run(["timeout", "1", ...dial("host-b")])).code, 124);
    server.kill("SIGKILL");
    await server.ended;
    assert.deepEqual(await leftOn(hosts, 2000), []);
  },
});
