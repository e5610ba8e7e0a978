/**
 * One rank of the benchmark of allreduce. Rank 0 prints a line of JSON for each size: the times of one
 * call in ms, each the mean over the calls of a sample and the largest over the ranks.
 */

import { init } from "../../runtime/bootstrap/init.ts";
import { decodeSizes } from "./_collectives_sizes.ts";

await using comm = await init();
for (const { floats, warmup, calls, samples } of decodeSizes(Deno.args[0])) {
  const buffer = new Float32Array(floats).fill(1e-3), times = new Float64Array(samples);
  for (let i = 0; i < warmup; i++) await comm.allreduce(buffer);
  for (let sample = 0; sample < samples; sample++) {
    buffer.fill(1e-3);
    await comm.barrier();
    const start = performance.now();
    for (let call = 0; call < calls; call++) await comm.allreduce(buffer);
    times[sample] = (performance.now() - start) / calls;
  }
  await comm.reduce(times, "max");
  if (comm.rank === 0) console.log(JSON.stringify({ floats, times: [...times] }));
}
