/** Says its place, and what all ranks come to; the rank named by the argument fails or aborts instead. */

import { init } from "../../../runtime/bootstrap/init.ts";

await using comm = await init();
const sum = Int32Array.of(comm.rank + 1);
await comm.allreduce(sum);
console.log(`rank ${comm.rank} of ${comm.size}: ${sum[0]}`);
if (Deno.args[0] === String(comm.rank)) {
  if (Deno.args[1] === "abort") await comm.abort(5, "enough");
  Deno.exit(3);
}
await comm.barrier();
