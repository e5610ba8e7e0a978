/** Runs the whole battery on every rank of a job; ends with an error at the first wrong result. */

import { init } from "../../../runtime/bootstrap/init.ts";
import { groups, messages } from "../_battery_messages.ts";
import { movements } from "../_battery_movements.ts";
import { reductions } from "../_battery_reductions.ts";

await using comm = await init();
for (const part of [movements, reductions, messages, groups]) await part(comm);
if (comm.rank === 0) console.log(`battery passed on ${comm.size}`);
