/** Learns a few steps from a text by bytes, and says how much memory that took at most. */

import { init } from "../../../runtime/bootstrap/init.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { train } from "../../../tasks/training/train.ts";

await using comm = await init();
const options = resolveOptions({
  task: "text",
  data: Deno.args[0],
  device: "cpu",
  ranks: comm.size,
  layers: 1,
  heads: 1,
  width: 4,
  context: 16,
  batchSize: 2,
  evalTokens: 100,
  maxSteps: 3,
});
await train(comm, options);
const { maxRSS } = (await import("node:process")).default.resourceUsage();
console.log(`peak ${1024 * maxRSS}`);
