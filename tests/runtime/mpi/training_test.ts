/** Training over a real MPI library comes to the weights of training over TCP. */

import assert from "node:assert/strict";
import { ROOT } from "../../_helpers/deno.ts";
import { run } from "../../_helpers/jobs.ts";
import { MPI_PEERS, mpirun } from "./_mpirun.ts";

const PROGRAM = "tests/tasks/training/programs/trains.ts";

let overTcp: Promise<string> | null = null;

/** What two ranks over TCP come to. */
async function weightsOverTcp(): Promise<string> {
  const program = new URL(PROGRAM, ROOT);
  const { lines, failure } = await run({ ranks: 2, program, transport: "tcp", allow: ["all"] });
  assert.equal(failure?.message, undefined);
  return lines[0].find((line) => line.startsWith("weights "))!;
}

for (const peer of MPI_PEERS) {
  const { name, missing } = peer;
  Deno.test({
    name: `training over ${name} gives the weights of TCP${
      missing === null ? "" : ` (skipped: ${missing})`
    }`,
    ignore: missing !== null,
    async fn() {
      const { code, stdout, stderr } = await mpirun(peer, 2, PROGRAM);
      assert.equal(code, 0, stderr);
      const weights = /^weights [0-9a-f]+/m.exec(stdout)?.[0];
      assert.equal(weights, await (overTcp ??= weightsOverTcp()));
    },
  });
}
