import assert from "node:assert/strict";
import { buildMesh, openListeners } from "../../../runtime/bootstrap/mesh.ts";
import type { TableEntry } from "../../../runtime/rendezvous/messages.ts";
import { credentials } from "../../../runtime/security/handshake.ts";

/** Connects ranks on hosts of their own, of which some cannot be reached. */
async function connect(dialsOut: readonly boolean[]): Promise<void> {
  const job = await credentials("mesh", crypto.getRandomValues(new Uint8Array(32)));
  const tcp = { addresses: ["127.0.0.1"], port: 0 };
  const listeners = dialsOut.map((_, rank) => openListeners(rank, "tcp", null, tcp));
  const table = listeners.map(({ endpoints }, rank): TableEntry => {
    if (!dialsOut[rank]) return { host: `h${rank}`, endpoints };
    // Whoever dials it finds nobody.
    return {
      host: `h${rank}`,
      endpoints: [{ kind: "tcp", hostname: "127.0.0.1", port: 1 }],
      dialsOut: true,
    };
  });
  const deadline = performance.now() + 10_000;
  const meshes = await Promise.allSettled(
    listeners.map(({ listeners }, rank) => buildMesh({ rank, job, table, listeners, deadline })),
  );
  for (const { listeners: all } of listeners) {
    for (const listener of all) {
      try {
        listener.close();
      } catch {
        // The mesh has closed it.
      }
    }
  }
  for (const mesh of meshes) {
    if (mesh.status === "fulfilled") {
      for (const connection of mesh.value.flat()) connection?.close();
    }
  }
  for (const [rank, mesh] of meshes.entries()) {
    if (mesh.status === "rejected") throw mesh.reason;
    assert.deepEqual(
      mesh.value.map((connection) => connection !== undefined),
      dialsOut.map((_, peer) => peer !== rank),
    );
  }
}

Deno.test("a rank that nobody can reach dials all others, whatever its number", async () => {
  await connect([false, false, false]);
  await connect([true, false, false]);
  await connect([false, true, false]);
  await connect([false, false, true]);
});

Deno.test("a pair of ranks of two hosts has as many connections as both want, one within a host", async () => {
  const job = await credentials("mesh", crypto.getRandomValues(new Uint8Array(32)));
  const wanted = [4, 2, 3], hosts = ["a", "b", "b"];
  const listeners = wanted.map((_, rank) =>
    openListeners(rank, "tcp", null, { addresses: ["127.0.0.1"], port: 0 })
  );
  const table = listeners.map(({ endpoints }, rank): TableEntry => ({
    host: hosts[rank],
    endpoints,
    connections: wanted[rank],
  }));
  const deadline = performance.now() + 10_000;
  const meshes = await Promise.all(
    listeners.map(({ listeners }, rank) => buildMesh({ rank, job, table, listeners, deadline })),
  );
  const counts = meshes.map((mesh) => mesh.map((connections) => connections?.length ?? 0));
  assert.deepEqual(counts, [[0, 2, 3], [2, 0, 1], [3, 1, 0]]);
  // Both ends have them in the same order.
  const ports = (rank: number, peer: number, end: "localAddr" | "remoteAddr") =>
    meshes[rank][peer]!.map((connection) => (connection[end] as Deno.NetAddr).port);
  assert.deepEqual(ports(0, 2, "localAddr"), ports(2, 0, "remoteAddr"));
  for (const connection of meshes.flat(2)) connection?.close();
});

Deno.test("two ranks of which neither can be reached are told apart at once", async () => {
  await assert.rejects(
    connect([true, true]),
    /rank 0 on h0 and rank 1 on h1 have no way to each other: both hosts can only dial out/,
  );
});
