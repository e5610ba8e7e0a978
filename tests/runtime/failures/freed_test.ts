/** What is kept of communicators that are freed. */

import assert from "node:assert/strict";
import { Context } from "../../../runtime/engine/context.ts";
import { Engine } from "../../../runtime/engine/engine.ts";
import { agree } from "../../../runtime/failures/agree.ts";
import { shrink } from "../../../runtime/failures/shrink.ts";
import { LocalPeers } from "../../../runtime/shared_memory/local_peers.ts";
import { connect } from "../../_helpers/mesh.ts";

Deno.test("a communicator with agreements is forgotten once all members have freed it, or are lost", async () => {
  const size = 3, hosts = Array.from({ length: size }, (_, rank) => `host${rank}`);
  await using mesh = await connect(size, { hosts, onFailure: "return" });
  const all = mesh.transports.map((transport) =>
    new Context(new Engine(transport), 0, [0, 1, 2], LocalPeers.none())
  );
  const known = () => all.map(({ engine }) => engine.communicators);
  const come = async (wanted: readonly number[]) => {
    const late = AbortSignal.timeout(20_000);
    while (String(known()) !== String(wanted) && !late.aborted) {
      await new Promise((wake) => setTimeout(wake));
    }
    assert.deepEqual(known(), wanted);
  };
  for (let i = 0; i < 3; i++) {
    const made = await Promise.all(all.map(shrink));
    assert.deepEqual(await Promise.all(made.map((context) => agree(context, 6))), [6, 6, 6]);
    made[0].free("");
    made[0].free("");
    made[2].free("");
    // The last may still be asked for what was decided.
    await Promise.all(all.map((context) => agree(context, 1)));
    assert.deepEqual(known(), [2, 2, 2]);
    made[1].free("");
    await come([1, 1, 1]);
  }
  const made = await Promise.all(all.map(shrink));
  await Promise.all(made.map((context) => agree(context, 1)));
  made[0].free("");
  made[1].free("");
  for (const connection of mesh.connections[2]) connection?.close();
  await come([1, 1, 2]);
});
