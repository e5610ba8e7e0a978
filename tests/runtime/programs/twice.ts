/** Calls init() a second time, of this copy of the runtime and of another. */

import { init } from "../../../runtime/bootstrap/init.ts";

await using comm = await init();
const another = new URL("../../../runtime/bootstrap/init.ts?another", import.meta.url).href;
for (const again of [init, (await import(another)).init]) {
  try {
    await again();
  } catch (error) {
    console.log((error as Error).message);
  }
}
const sum = Int32Array.of(1);
await comm.allreduce(sum);
console.log(`sum ${sum[0]}`);
