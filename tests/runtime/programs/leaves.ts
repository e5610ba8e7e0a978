/** Ends with an allreduce in the background, as soon as it is done on this very rank. */

import { init } from "../../../runtime/bootstrap/init.ts";

await using comm = await init();
const buffer = new Float32Array(50_000).fill(1);
await comm.iallreduce(buffer).wait();
if (buffer.some((value) => value !== comm.size)) throw new Error("the sum is wrong");
