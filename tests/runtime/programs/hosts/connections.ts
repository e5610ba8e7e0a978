/**
 * Sums ten times over the network by direct exchange, and prints how many numbers came out wrong, and how many
 * bytes this rank sent to other hosts.
 */

import { init } from "../../../../runtime/bootstrap/init.ts";

await using comm = await init();
const { rank, size } = comm;
let wrong = 0;
for (let call = 0; call < 10; call++) {
  const x = Float32Array.from({ length: 300_000 }, (_, i) => i % 1000 + rank);
  await comm.allreduce(x, "sum", { algorithm: "direct" });
  wrong += x.filter((value, i) => value !== size * (i % 1000) + size * (size - 1) / 2).length;
}
console.log(JSON.stringify({ wrong, sent: comm.network.betweenHosts.sent }));
