/**
 * π from random points: the share of the unit square that lies within the unit circle. Each rank
 * draws points of its own, and the counts are added up. `deno task launch --ranks 4
 * tests/examples/monte_carlo_pi.ts -- 1000000`
 */

import { init } from "../../runtime/bootstrap/init.ts";
import { Random } from "../../runtime/base/random.ts";

await using comm = await init();
const points = Number(Deno.args[0] ?? 1_000_000);

const random = new Random(2022, "points", comm.rank);
let inside = 0;
for (let i = 0; i < points; i++) {
  const x = random.uniform(), y = random.uniform();
  if (x * x + y * y < 1) inside++;
}

const counts = BigInt64Array.of(BigInt(inside), BigInt(points));
await comm.reduce(counts, "sum");
if (comm.rank === 0) {
  const share = Number(counts[0]) / Number(counts[1]);
  const error = 4 * Math.sqrt(share * (1 - share) / Number(counts[1]));
  console.log(`π ≈ ${4 * share} ± ${error.toFixed(6)} from ${counts[1]} points`);
}
