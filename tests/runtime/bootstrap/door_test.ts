/** The connections of a process that comes to a running job. */

import assert from "node:assert/strict";
import { openNewcomerMesh } from "../../../runtime/bootstrap/door.ts";
import { openListeners } from "../../../runtime/bootstrap/mesh.ts";
import { dialMember } from "../../../runtime/security/dialer.ts";
import { credentials } from "../../../runtime/security/handshake.ts";

Deno.test("a newcomer that ends before it is let in does not keep out another", async () => {
  const job = await credentials("door", crypto.getRandomValues(new Uint8Array(32)));
  const hostname = "127.0.0.1", rendezvous = { hostname, port: 1 };
  const tcp = { addresses: [hostname], port: 0 };
  const { listeners, endpoints } = openListeners(3, "tcp", null, tcp);
  const self = { host: "a", endpoints };
  using mesh = openNewcomerMesh({ rank: 3, job, self, rendezvous, tls: undefined }, listeners);
  const gone = { host: "a", endpoints: [{ kind: "tcp", ...rendezvous } as const] };
  mesh.dial({
    type: "invited",
    members: [0],
    newcomers: [[2, gone], [3, self]],
    hosts: ["a", "a", "a", "a"],
  });
  using member = await dialMember({
    endpoints,
    job,
    purpose: "mesh",
    self: 0,
    peer: 3,
    name: "rank 3",
    deadline: performance.now() + 5000,
  });
  assert(member);
  const start = performance.now(), connections = await mesh.complete([0, 3]);
  assert(performance.now() - start < 5000, "it has waited for the one that is gone");
  assert.deepEqual(connections.flatMap((connection, rank) => connection ? [rank] : []), [0]);
});
