/**
 * `deno task bench scale`: how long many ranks on one machine take to find each other, and what each of them takes.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HELP = `deno task bench scale [options]

  --ranks N,…      jobs of so many ranks, one after the other (default 2,8,32,64)
  --transport T    as for launch (default auto)

"met" is from the command to the end of the first barrier. Memory is the mean over the ranks: what each has to
itself with its share of what several map (PSS), and all that it maps (RSS). A call is an allreduce of 1000 floats,
the mean of 20. Linux only.
`;

const { values: options } = parseArgs({
  options: {
    ranks: { type: "string", default: "2,8,32,64" },
    transport: { type: "string", default: "auto" },
    help: { type: "boolean", default: false },
  },
});
if (options.help) {
  console.log(HELP.trimEnd());
  Deno.exit();
}

/** What rank 0 of the program tells. */
interface Told {
  /** In ms since 1970. */
  readonly met: number;
  readonly callMs: number;
  /** In MB. */
  readonly pss: number;
  /** In MB. */
  readonly rss: number;
  readonly descriptors: number;
}

const main = fileURLToPath(new URL("../../../tasks/cli/main.ts", import.meta.url));
const program = fileURLToPath(new URL("./_scale_program.ts", import.meta.url));
console.log(
  "| ranks | met, s | s a rank | PSS, MB | RSS, MB | descriptors | call, ms | whole, s |",
);
console.log("|---|---|---|---|---|---|---|---|");
for (const ranks of options.ranks.split(",").map(Number)) {
  const began = Date.now(), { transport } = options;
  const args = ["launch", "--ranks", `${ranks}`, "--transport", transport, "--allow", "all"];
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", main, ...args, "--timeout", "300", program],
    stderr: "inherit",
  }).output();
  const whole = (Date.now() - began) / 1000;
  const line = new TextDecoder().decode(stdout).split("\n").find((line) => line.includes("{"));
  if (code !== 0 || line === undefined) Deno.exit(code || 1);
  const { met, callMs, pss, rss, descriptors }: Told = JSON.parse(line.slice(line.indexOf("{")));
  const seconds = (met - began) / 1000;
  const numbers = [seconds, seconds / ranks, pss, rss, descriptors, callMs, whole];
  const digits = [1, 3, 1, 1, 0, 2, 1];
  console.log(`| ${ranks} | ${numbers.map((each, i) => each.toFixed(digits[i])).join(" | ")} |`);
}
