/**
 * Hundreds of collectives of drawn kinds and sizes on three communicators, one after the other and at
 * once, on ranks that come late now and then: frames must find their way however they travel.
 */

import assert from "node:assert/strict";
import { init } from "../../../runtime/bootstrap/init.ts";
import { Random } from "../../../runtime/base/random.ts";
import { waitAll } from "../../../runtime/base/request.ts";

await using comm = await init();
const { rank, size } = comm;
const half = await comm.split(rank % 2), twin = await comm.dup();
const shared = new Random(5, "mixed"), own = new Random(5, "late", rank);
const before = comm.traffic.sent;

for (let round = 0; round < 600; round++) {
  const length = [1, 5, 700, 3000, 20_000][Math.floor(shared.uniform() * 5)];
  const buffer = new Float32Array(length).fill(rank + round);
  const all = new Float32Array(length).fill(size * (size - 1) / 2 + size * round);
  if (own.uniform() < 0.03) await new Promise((go) => setTimeout(go, 2));
  switch (Math.floor(shared.uniform() * 6)) {
    case 0: {
      const copy = buffer.slice();
      const requests = [comm.iallreduce(buffer), twin.iallreduce(copy), comm.ibarrier()];
      await waitAll(shared.uniform() < 0.5 ? requests : requests.reverse());
      assert.deepEqual(copy, all);
      assert.deepEqual(buffer, all);
      break;
    }
    case 1:
      await half!.barrier();
      await twin.allreduce(buffer);
      assert.deepEqual(buffer, all);
      break;
    case 2:
      await comm.bcast(buffer, round % size);
      assert.deepEqual(buffer, new Float32Array(length).fill(round % size + round));
      break;
    default:
      await comm.allreduce(buffer);
      assert.deepEqual(buffer, all);
  }
}
const sent = comm.traffic.sent - before;
await comm.barrier();
if (rank === 0) console.log(`all 600 right; ${sent} bytes sent`);
