/** Makes every check on every rank of a job; ends with an error at the first that fails. */

import { init } from "../../../runtime/bootstrap/init.ts";
import { BATTERY } from "../_battery.ts";

await using comm = await init();
for (const { name, run } of BATTERY) {
  try {
    await run(comm);
  } catch (error) {
    throw new Error(`${name} on rank ${comm.rank}`, { cause: error });
  }
  if (comm.rank === 0) console.log(`passed ${name}`);
}
