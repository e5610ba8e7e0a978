/** A launcher of its own, to be interrupted: arguments are the number of ranks, program, its arguments. */

import { launchProgram } from "../../../../runtime/launcher/launch.ts";

const [ranks, program, ...args] = Deno.args;
for (let job = Number(Deno.env.get("JOBS") ?? 1); job > 0; job--) {
  const { code, failure, pending } = await launchProgram({
    ranks: Number(ranks),
    program,
    args,
    stdin: Deno.env.get("RANK_STDIN") as "rank0" | "all" | undefined,
    allow: Deno.env.get("RANK_PERMISSIONS")?.split(" ") ?? [],
  });
  if (failure) console.error(failure.message);
  if (pending) console.error(pending);
  if (job === 1 || code !== 0) Deno.exit(code);
}
