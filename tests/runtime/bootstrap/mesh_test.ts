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
    if (mesh.status === "fulfilled") { for (const connection of mesh.value) connection?.close(); }
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

Deno.test("two ranks of which neither can be reached are told apart at once", async () => {
  await assert.rejects(
    connect([true, true]),
    /rank 0 on h0 and rank 1 on h1 have no way to each other: both hosts can only dial out/,
  );
});
