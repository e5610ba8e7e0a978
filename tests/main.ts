/**
 * `deno task test`: all tests, those that bear it beside each other. What follows it is passed on to
 * `deno test`, as `deno task test --filter drift`.
 *
 * @module
 */

import { ROOT } from "./_helpers/deno.ts";

/**
 * Tests that fill the machine themselves: they start ranks by the dozen, watch the clock, or count
 * what is left of processes; and those that change variables of the process, which files that run
 * beside each other share. They run after the others, one file at a time, whether those have failed
 * or not.
 */
const ALONE = [
  "tests/bench",
  "tests/examples",
  "tests/hosts",
  "tests/runtime/agents",
  "tests/runtime/failures",
  "tests/runtime/launcher",
  "tests/runtime/mpi",
  "tests/soak",
  "tests/tasks/cli",
  "tests/tasks/launch",
  "tests/tasks/plan",
  "tests/tasks/reproduce",
  "tests/tasks/run",
  "tests/tasks/sweep",
];

let code = 0;
for (const which of [["--parallel", `--ignore=${ALONE}`, "tests/"], ALONE]) {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["test", "--lock=deno.lock", "--frozen", "-A", "--no-check", ...Deno.args, ...which],
    cwd: ROOT,
  });
  const ended = await command.spawn().status;
  code ||= ended.code;
}
Deno.exit(code);
