/** Functions of a job's caller that throw. */

import assert from "node:assert/strict";
import { launchProgram, type LaunchProgramOptions } from "../../../../runtime/launcher/launch.ts";
import { pidsIn, program, survivors } from "../../../_helpers/jobs.ts";

const thrown = new Error("the caller's own");
const fail = () => {
  throw thrown;
};

const LOSES = { program: program("failures/ends_after"), args: ["nobody catches it"] };

for (
  const [name, options] of [
    ["onOutput", { args: ["idle"], onOutput: fail }],
    ["onLost", { ...LOSES, onLost: fail }],
    ["respawn", { ...LOSES, respawn: fail }],
    ["onInterrupt", { args: ["idle"], onInterrupt: fail, signal: AbortSignal.timeout(500) }],
  ] as [string, Partial<LaunchProgramOptions>][]
) {
  Deno.test({
    name: `what ${name} throws ends the job, whose caller can catch it`,
    sanitizeOps: true,
    sanitizeResources: true,
    async fn() {
      const lines: string[] = [];
      const job = launchProgram({
        ...{ ranks: 3, program: program("ends"), quiet: true, handleSignals: false },
        onFailure: "return",
        onOutput: (_, line) => void lines.push(line),
        ...options,
      });
      await assert.rejects(job, thrown);
      assert.deepEqual(await survivors(pidsIn(lines), 5000), []);
    },
  });
}
