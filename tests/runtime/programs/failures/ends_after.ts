/** Ranks that could go on without each other end in the way that the argument says. */

import { init } from "../../../../runtime/bootstrap/init.ts";

const [way] = Deno.args, isLast = Deno.env.get("CELGC_RANK") === "1";
const onFailure = way === "differ" && isLast ? "abort" : "return";
await using comm = await init({ onFailure });
await comm.barrier();
if (way === "nobody catches it") {
  if (isLast) Deno.exit(7);
  await comm.barrier();
} else if (way === "fails after its goodbye") {
  await comm.close();
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
