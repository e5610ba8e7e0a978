/** Ranks that could go on without each other end in the way that the argument says. */

import { existsSync } from "node:fs";
import { init } from "../../../../runtime/bootstrap/init.ts";

const [way] = Deno.args, isLast = Deno.env.get("CELGC_RANK") === "1";
const onFailure = way === "differ" && isLast ? "abort" : "return";
await using comm = await init({ onFailure });
await comm.barrier();
if (way === "nobody catches it") {
  if (isLast) Deno.exit(7);
  await comm.barrier();
} else if (way === "fails after its goodbye") {
  const pids = new Int32Array(comm.size);
  await comm.allgather(Int32Array.of(Deno.pid), pids);
  await comm.close();
  // When the others have ended, and the launcher has heard their goodbyes: until then it is a loss for them.
  while (isLast && pids.some(runsBesideMe)) await new Promise((resolve) => setTimeout(resolve, 10));
  if (isLast) Deno.exit(3);
} else if (way === "abort") {
  if (isLast) await comm.abort(42, "enough");
  await comm.barrier();
} else if (way === "leaves" && isLast) {
  await comm.close();
} else if (way === "leaves") {
  const shrunk = await comm.shrink().then((one) => one.size === 3 ? one.shrink() : one);
  if (shrunk.size !== 2) throw new Error(`${shrunk.size} ranks`);
  await shrunk.barrier();
}

/** Whether a process is another's and runs, or has not been asked for its end yet. */
function runsBesideMe(pid: number): boolean {
  return pid !== Deno.pid && existsSync(`/proc/${pid}`);
}
