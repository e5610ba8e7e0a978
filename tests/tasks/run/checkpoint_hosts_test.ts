/** Checkpoints of ranks on several hosts, of which only rank 0's sees the run's folder. */

import assert from "node:assert/strict";
import type { Communicator } from "../../../runtime/communicator.ts";
import { CheckpointError, checkpointSteps, type StateDict } from "../../../tasks/run/checkpoint.ts";
import { restoreCheckpoint } from "../../../tasks/run/restore_checkpoint.ts";
import {
  type CheckpointFolders,
  encode,
  writeCheckpoint,
} from "../../../tasks/run/write_checkpoint.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { onAll, world } from "../../_helpers/world.ts";

/** More than the piece in which bytes travel. */
const LENGTH = 3_000_000;

const stateOf = (rank: number): StateDict => ({
  tensors: [{ name: "x", dims: [LENGTH], data: new Float32Array(LENGTH).fill(rank + 1) }],
  numbers: { "loop.samples": 10 * rank + 5, "tally.taken": 4, "tally.maxDrift": rank },
});

/** Runs `body` on ranks on these hosts; every one of them must succeed. */
async function on<T>(
  hosts: readonly string[],
  body: (comm: Communicator, rank: number) => Promise<T>,
): Promise<T[]> {
  await using ranks = await world(hosts.length, { hosts });
  const results = await onAll(ranks, body);
  return results.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

const write =
  (folders: CheckpointFolders, step: number) => async (comm: Communicator, rank: number) => {
    const part = { save: () => Promise.resolve(stateOf(rank)), restore: () => Promise.resolve() };
    await writeCheckpoint(comm, folders, step, await encode([part]), { run: "this run" });
  };

/** The state that a rank goes on with. */
const restore =
  (folders: CheckpointFolders, step: number, ranks?: number) => async (comm: Communicator) => {
    let restored: StateDict | null = null;
    const part = {
      save: () => Promise.reject(new Error("nothing is saved")),
      restore: (state: StateDict) => Promise.resolve(void (restored = state)),
    };
    await restoreCheckpoint(comm, folders, step, [part], { run: "this run", ranks });
    const { tensors: [{ data }], numbers } = restored!;
    assert.ok(data.every((value) => value === data[0]));
    return { value: data[0], numbers };
  };

const values = (states: readonly { value: number }[]) => states.map(({ value }) => value);

Deno.test("ranks of other hosts send their parts to rank 0, and get them back wherever they are", async () => {
  await using folder = await temporaryFolder();
  const folders = { directory: `${folder.path}/run` };
  for (const step of [2, 4, 6]) await on(["a", "b", "a", "c"], write(folders, step));
  assert.deepEqual(await checkpointSteps(folders.directory), [4, 6]);
  for (const hosts of [["a", "b", "a", "c"], ["x", "x", "y", "y"], ["a", "a", "a", "a"]]) {
    assert.deepEqual(values(await on(hosts, restore(folders, 6))), [1, 2, 3, 4]);
  }
});

Deno.test("more or fewer ranks get means, shares of sums and largest values", async () => {
  await using folder = await temporaryFolder();
  const folders = { directory: `${folder.path}/run` };
  await on(["a", "b", "c", "c"], write(folders, 3));
  for (const hosts of [["a", "b"], ["a", "b", "a", "c", "d", "e"]]) {
    const states = await on(hosts, restore(folders, 3, 4));
    for (const { value, numbers } of states) {
      assert.equal(value, 2.5);
      assert.equal(numbers["tally.taken"], 4);
      assert.equal(numbers["tally.maxDrift"], 3);
    }
    const samples = states.map(({ numbers }) => numbers["loop.samples"]);
    assert.equal(samples.reduce((a, b) => a + b), 80);
    assert.ok(Math.max(...samples) - Math.min(...samples) <= 1);
  }
  await assert.rejects(
    on(["a"], restore(folders, 3)),
    /it was written by 4 ranks, and these are 1/,
  );
});

Deno.test("with folders of their own hosts keep their parts, and the list names them", async () => {
  await using folder = await temporaryFolder();
  const directory = `${folder.path}/run`;
  const own = (comm: Communicator) => ({
    directory,
    local: `${folder.path}/${comm.network.hosts[comm.rank]}`,
  });
  for (const step of [2, 4, 6]) {
    await on(["a", "b", "a", "b"], (comm, rank) => write(own(comm), step)(comm, rank));
  }
  const namesIn = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();
  assert.deepEqual(namesIn(`${directory}/checkpoint`), ["step-4", "step-6"]);
  assert.deepEqual(namesIn(`${folder.path}/b/checkpoint`), ["step-4", "step-6"]);
  assert.deepEqual(
    namesIn(`${directory}/checkpoint/step-6`),
    ["checkpoint.json", "rank-0.safetensors", "rank-2.safetensors"],
  );
  assert.deepEqual(
    namesIn(`${folder.path}/b/checkpoint/step-6`),
    ["rank-1.safetensors", "rank-3.safetensors"],
  );
  const { files } = JSON.parse(
    await Deno.readTextFile(`${directory}/checkpoint/step-6/checkpoint.json`),
  );
  assert.deepEqual(files.map(({ host }: { host?: string }) => host ?? null), [
    null,
    "b",
    null,
    "b",
  ]);
  // Ranks have changed places: a rank of the host that has a part sends it.
  const moved = await on(["a", "a", "b", "b"], (comm) => restore(own(comm), 6)(comm));
  assert.deepEqual(values(moved), [1, 2, 3, 4]);
  await assert.rejects(on(["a", "a", "c", "c"], (comm) => restore(own(comm), 6)(comm)), (error) => {
    assert.ok(error instanceof CheckpointError);
    assert.match(error.message, /no rank finds rank-1\.safetensors, which b has kept/);
    return true;
  });
});
