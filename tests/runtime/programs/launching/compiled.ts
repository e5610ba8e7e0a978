/** What the ranks of a compiled program run. */

import { init } from "../../../../runtime/bootstrap/init.ts";

const comm = await init(); // never closed: its end is the program's
const sum = Int32Array.of(comm.rank + 1);
await comm.allreduce(sum);
console.log(`rank ${comm.rank} of ${comm.size} with ${JSON.stringify(Deno.args)}: ${sum[0]}`);
if (Deno.args[0] === "throws" && comm.rank === 1) throw new Error("out of luck");
await comm.barrier();
