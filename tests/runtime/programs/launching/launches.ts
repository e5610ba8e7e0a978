/** A program that launches ranks, as one that is compiled would; its arguments are the ranks' number and way. */

import { launchProgram } from "../../../../runtime/launcher/launch.ts";

const [ranks, ...args] = Deno.args;
console.log(`main with ${JSON.stringify(Deno.args)}`);
const { code, failure } = await launchProgram({
  ranks: Number(ranks),
  program: new URL(import.meta.resolve("./compiled.ts")),
  args,
});
console.log("launched");
if (failure) console.error(failure.message);
Deno.exit(code);
