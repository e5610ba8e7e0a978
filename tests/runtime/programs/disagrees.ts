/** Disagrees on one communicator again and again, in small calls and large ones, and goes on with others. */

import assert from "node:assert/strict";
import { MismatchError } from "../../../runtime/base/errors.ts";
import { init } from "../../../runtime/bootstrap/init.ts";
import { waitAll } from "../../../runtime/base/request.ts";

await using comm = await init();
const { rank, size } = comm, sum = size * (size - 1) / 2;
const twins = await Promise.all([comm.dup(), comm.dup(), comm.dup()]);

async function works(round: number): Promise<void> {
  for (const length of [1, 3000, 100_000, 1]) {
    const buffer = new Float32Array(length).fill(rank + round), copy = buffer.slice();
    await comm.allreduce(buffer);
    await waitAll([comm.iallreduce(copy), comm.ibarrier()]);
    const expected = new Float32Array(length).fill(sum + size * round);
    assert.deepEqual([buffer, copy], [expected, expected]);
  }
}

await works(0);
for (const [i, twin] of twins.entries()) {
  const wrong = new Float32Array([5, 100_000, 8][i] + (rank === i ? 1 : 0));
  await assert.rejects(twin.allreduce(wrong), MismatchError);
  await assert.rejects(twin.barrier(), MismatchError);
  await works(i + 1);
}
await comm.barrier();
if (rank === 0) console.log(`all right on ${size}`);
