/** The connections of a process that comes to a running job. */

import assert from "node:assert/strict";
import { platform, runOn } from "../../../runtime/base/platform.ts";
import { JobDoor, type LossNews, NewcomerMesh } from "../../../runtime/bootstrap/door.ts";
import { RendezvousClient } from "../../../runtime/rendezvous/client.ts";
import { RendezvousServer } from "../../../runtime/rendezvous/server.ts";
import { listenAt } from "../../../runtime/security/endpoint.ts";
import { mesh } from "../../_helpers/mesh.ts";
import { openListeners } from "../../../runtime/bootstrap/mesh.ts";
import { dialMember } from "../../../runtime/security/dialer.ts";
import { credentials } from "../../../runtime/security/handshake.ts";

const news = () => ({ lost: new Set<number>(), onLost: null });

Deno.test("a newcomer that ends before it is let in does not keep out another", async () => {
  const job = await credentials("door", crypto.getRandomValues(new Uint8Array(32)));
  const hostname = "127.0.0.1", rendezvous = { hostname, port: 1 };
  const tcp = { addresses: [hostname], port: 0 };
  const { listeners, endpoints } = openListeners(3, "tcp", null, tcp);
  const self = { host: "a", endpoints };
  using mesh = new NewcomerMesh({ rank: 3, job, self, rendezvous, tls: undefined }, listeners);
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
  const start = performance.now(), connections = await mesh.complete([0, 3], news());
  assert(performance.now() - start < 5000, "it has waited for the one that is gone");
  assert.deepEqual(connections.flatMap((connection, rank) => connection ? [rank] : []), [0]);
});

Deno.test("a newcomer goes on without another that is lost, or that is higher and does not come", async () => {
  const job = await credentials("door", crypto.getRandomValues(new Uint8Array(32)));
  const hostname = "127.0.0.1", rendezvous = { hostname, port: 1 };
  const open = () => {
    const { listeners } = openListeners(3, "tcp", null, { addresses: [hostname], port: 0 });
    const self = { host: "a", endpoints: [] };
    return new NewcomerMesh({ rank: 3, job, self, rendezvous, tls: undefined }, listeners);
  };
  using mesh = open();
  const heard: LossNews = { lost: new Set([1]), onLost: null };
  const completed = mesh.complete([1, 3, 4], heard);
  heard.lost.add(4);
  heard.onLost!();
  assert.deepEqual((await completed).filter((connection) => connection), []);

  // Time passes at once.
  let now = 0;
  using _platform = runOn(Object.assign(Object.create(platform), {
    now: () => now += 6000,
    setTimeout: (act: () => void) => setTimeout(act, 0),
  }));
  for (const [absent, isFatal] of [[4, false], [2, true]] as const) {
    using mesh = open();
    const completed = mesh.complete([3, absent], news());
    if (isFatal) await assert.rejects(completed, /rank 3 .* has no connection to ranks 2$/);
    else assert.deepEqual((await completed).filter((connection) => connection), []);
  }
});

Deno.test("nobody waits for a newcomer that has gone, when the others have agreed on it and while it is dialled", async () => {
  const job = await credentials("door", crypto.getRandomValues(new Uint8Array(32)));
  const hostname = "127.0.0.1", listener = listenAt({ kind: "tcp", hostname, port: 0 });
  const { port } = listener.addr as Deno.NetAddr, rendezvous = { hostname, port };
  using opened = new DisposableStack();
  const server = new RendezvousServer({ listener, job, size: 1, events: {} });
  opened.defer(() => server.close());
  for (const rank of [1, 2]) server.expect(rank);
  const connect = (rank: number) =>
    RendezvousClient.connect({
      ...rendezvous,
      job,
      size: 1,
      rank,
      deadline: performance.now() + 10_000,
    });
  const client = await connect(0);
  opened.defer(() => client.close());
  // Nobody listens there.
  const entry = { host: "a", endpoints: [{ kind: "tcp", hostname, port: 1 } as const] };
  await client.join(entry.host, entry.endpoints, undefined, { onFailure: "return" });
  client.start({ lost() {}, abort() {}, gone() {}, pending: () => [] });
  await using alone = await mesh(1);
  const [transport] = alone.transports;
  const door = new JobDoor(
    { rank: 0, job, self: entry, rendezvous, tls: undefined },
    client,
    transport,
  );
  const { onKnock } = client;
  const news = (rank: number, isThere: boolean) =>
    new Promise<void>((resolve) =>
      client.onKnock = (knocked) => {
        onKnock!(knocked);
        if (knocked === rank && client.waiting.has(rank) === isThere) resolve();
      }
    );
  for (const [rank, isKnown] of [[1, true], [2, false]] as const) {
    const has = news(rank, true), newcomer = await connect(rank);
    const knock = newcomer.knock({ ...entry, onFailure: "return" }).catch(() => {});
    await has;
    const newcomers = new Map([[rank, JSON.stringify(entry)]]), left = news(rank, false);
    const start = performance.now();
    let reached: Promise<number[]> | null = isKnown ? null : door.reach(newcomers, [0]);
    newcomer.close();
    await left;
    reached ??= door.reach(newcomers, [0]);
    assert.deepEqual(await reached, []);
    assert(performance.now() - start < 8000, "it has waited for one that is gone");
    await knock;
  }
});
