/**
 * C = A·B with the rows of A and C spread over the ranks: scatter the rows of A, broadcast B, multiply,
 * gather the rows of C. `deno task launch --ranks 3 tests/examples/matrix_product.ts -- 100`
 */

import { init } from "../../runtime/bootstrap/init.ts";

await using comm = await init();
const { rank, size } = comm, n = Number(Deno.args[0] ?? 200);

/** [n, n] on rank 0 alone; rows of unequal number elsewhere, since n need not divide. */
const a = rank === 0 ? Float64Array.from({ length: n * n }, (_, i) => Math.sin(i)) : null;
const c = rank === 0 ? new Float64Array(n * n) : null;
const b = Float64Array.from({ length: n * n }, (_, i) => rank === 0 ? Math.cos(3 * i) : 0);

const rows = Array.from(
  { length: size },
  (_, r) => Math.floor(n * (r + 1) / size) - Math.floor(n * r / size),
);
const counts = rows.map((count) => count * n);
const [myA, myC] = [new Float64Array(counts[rank]), new Float64Array(counts[rank])];

await comm.scatterv(a, counts, myA);
await comm.bcast(b);
for (let i = 0; i < rows[rank]; i++) {
  for (let k = 0; k < n; k++) {
    const factor = myA[i * n + k];
    for (let j = 0; j < n; j++) myC[i * n + j] += factor * b[k * n + j];
  }
}
await comm.gatherv(myC, c, counts);

if (a !== null && c !== null) {
  // Freivalds' check: C·x = A·(B·x) for a random x, in n² steps.
  const x = Float64Array.from({ length: n }, () => Math.random());
  const times = (m: Float64Array, v: Float64Array) =>
    v.map((_, i) => v.reduce((sum, value, j) => sum + m[i * n + j] * value, 0));
  const expected = times(a, times(b, x));
  const worst = Math.max(...times(c, x).map((value, i) => Math.abs(value - expected[i])));
  console.log(`${n} × ${n} on ${size} ranks, largest error ${worst.toExponential(1)}`);
  if (!(worst < 1e-8 * n)) throw new Error("the product is wrong");
}
