import assert from "node:assert/strict";
import { onAll, world } from "../../_helpers/world.ts";

Deno.test("some make a communicator without the others, in the order given", async () => {
  await using mesh = await world(5);
  const group = [3, 0, 4];
  const outcomes = await onAll(mesh, async (comm, rank) => {
    if (!group.includes(rank)) return null; // these do something else
    const made = await comm.createGroup(group, 7);
    const all = new Int32Array(made.size);
    await made.allgather(Int32Array.of(rank), all);
    return [made.rank, ...all];
  });
  const values = outcomes.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
  assert.deepEqual(values, [[1, 3, 0, 4], null, null, [0, 3, 0, 4], [2, 3, 0, 4]]);
  // The others have made fewer communicators.
  const again = await onAll(mesh, async (comm, rank) => {
    const twins = [await comm.createGroup([0, 1, 2, 3, 4]), await comm.dup()];
    const sums = [Float32Array.of(rank), Float32Array.of(10 * rank)];
    await Promise.all(twins.map((twin, i) => twin.allreduce(sums[i])));
    return sums.map(([sum]) => sum);
  });
  for (const outcome of again) {
    assert.deepEqual(outcome.status === "fulfilled" ? outcome.value : outcome.reason, [10, 100]);
  }
});

Deno.test("two groups at once do not meet", async () => {
  await using mesh = await world(4);
  const outcomes = await onAll(mesh, async (comm, rank) => {
    const made = await comm.createGroup(rank < 2 ? [0, 1] : [3, 2]);
    const sum = Float32Array.of(rank);
    for (let i = 0; i < 20; i++) await made.allreduce(sum.fill(rank));
    return [made.size, sum[0]];
  });
  assert.deepEqual(
    outcomes.map((outcome) => outcome.status === "fulfilled" ? outcome.value : outcome.reason),
    [[2, 1], [2, 1], [2, 5], [2, 5]],
  );
});

Deno.test("what is made of two communicators at once does not meet", async () => {
  await using mesh = await world(4);
  const outcomes = await onAll(mesh, async (comm, rank) => {
    const groups = [[0, 1, 2], [2, 3, 0], [1, 3]].flatMap((group, tag) =>
      group.includes(rank) ? [comm.createGroup(group, tag)] : []
    );
    const made = await Promise.all(groups);
    const twins = await Promise.all(made.flatMap((one) => [one.dup(), one.shrink(), one.dup()]));
    const sums = twins.map((_, i) => Float32Array.of(10 ** (i % 3) * (rank + 1)));
    await Promise.all(twins.map((twin, i) => twin.allreduce(sums[i])));
    return sums.map(([sum], i) => [twins[i].size, sum / 10 ** (i % 3)]);
  });
  const of = (...groups: number[][]) => groups.flatMap((group) => [group, group, group]);
  const [first, second, third] = [[3, 6], [3, 8], [2, 6]];
  assert.deepEqual(
    outcomes.map((outcome) => outcome.status === "fulfilled" ? outcome.value : outcome.reason),
    [of(first, second), of(first, third), of(first, second), of(second, third)],
  );
});

Deno.test("a group that cannot be is refused at once", async () => {
  await using mesh = await world(2);
  const [comm] = mesh.ranks;
  for (const ranks of [[1], [0, 0], [0, 2], [0, -1], [0, 0.5]]) {
    await assert.rejects(comm.createGroup(ranks), /^RangeError: cannot create a group: .*below 2/);
  }
});
