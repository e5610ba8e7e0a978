/** What becomes of the others when a rank cannot write its part of a checkpoint. */

import assert from "node:assert/strict";
import { PeerLostError } from "../../../runtime/base/errors.ts";
import type { Communicator } from "../../../runtime/communicator.ts";
import { checkpointSteps, type Stateful } from "../../../tasks/run/checkpoint.ts";
import { CheckpointWriter } from "../../../tasks/run/checkpoint_writer.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { onAll, type World, world } from "../../_helpers/world.ts";

const part: Stateful = {
  save: () => Promise.resolve({ tensors: [], numbers: { "loop.samples": 1 } }),
  restore: () => Promise.resolve(),
};

/**
 * Begins a checkpoint on three ranks of one host, of which rank 2 finds a file where the run's folder should be.
 *
 * @param body what each rank does after that
 */
async function withOneThatCannotWrite(
  body: (writer: CheckpointWriter, comm: Communicator, ranks: World) => Promise<void>,
): Promise<void> {
  await using folder = await temporaryFolder();
  const run = `${folder.path}/run`, file = `${folder.path}/file`;
  await Deno.writeTextFile(file, "");
  await using ranks = await world(3, { hosts: ["here", "here", "here"] });
  const results = await onAll(ranks, async (comm, rank) => {
    const writer = new CheckpointWriter(comm, { directory: rank === 2 ? file : run });
    await writer.begin(1, [part], null);
    await body(writer, comm, ranks);
  });
  for (const result of results) if (result.status === "rejected") throw result.reason;
  assert.deepEqual(await checkpointSteps(run), []);
}

Deno.test("a rank that ends does not wait for a checkpoint of which another cannot write its part", async () => {
  await withOneThatCannotWrite(async (writer, comm) => {
    // The others are in their next step, and cannot end it before rank 0 is gone.
    if (comm.rank === 0) await writer[Symbol.asyncDispose]();
    await comm.barrier();
    if (comm.rank === 2) await assert.rejects(writer.settle(), { code: "ENOTDIR" });
  });
});

Deno.test("where a rank cannot write its part of a checkpoint the others have lost that rank", async () => {
  await withOneThatCannotWrite(async (writer, { rank }, ranks) => {
    if (rank === 2) {
      await assert.rejects(writer.settle(), { code: "ENOTDIR" });
      return ranks.kill(2);
    }
    writer.check();
    await assert.rejects(writer.settle(), (error) => {
      assert.ok(error instanceof PeerLostError, `${error}`);
      assert.equal(error.rank, 2);
      return true;
    });
  });
});
