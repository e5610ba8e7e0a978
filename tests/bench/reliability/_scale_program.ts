/** A rank of `scale.ts`: meets the others, and tells rank 0 what it takes. */

import { init } from "../../../mod.ts";

await using comm = await init();
await comm.barrier();
const met = Date.now();
const sum = new Float32Array(1000).fill(comm.rank);
await comm.allreduce(sum, "sum");
const began = performance.now(), calls = 20;
for (let i = 0; i < calls; i++) await comm.allreduce(sum.fill(comm.rank), "sum");
const callMs = (performance.now() - began) / calls;
const wanted = comm.size * (comm.size - 1) / 2;
if (sum.some((each) => each !== wanted)) throw new Error(`a sum is ${sum[0]}, not ${wanted}`);
const rollup = Deno.readTextFileSync("/proc/self/smaps_rollup");
const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(rollup)![1]);
const mine = Float64Array.of(
  kilobytes("Pss") / 1000,
  kilobytes("Rss") / 1000,
  [...Deno.readDirSync("/proc/self/fd")].length,
);
const all = comm.rank === 0 ? new Float64Array(mine.length * comm.size) : null;
await comm.gather(mine, all, 0);
if (all) {
  const mean = (which: number) =>
    all.filter((_, i) => i % mine.length === which).reduce((a, b) => a + b) / comm.size;
  const [pss, rss, descriptors] = [0, 1, 2].map(mean);
  console.log(JSON.stringify({ met, callMs, pss, rss, descriptors }));
}
