/** Training over a real MPI library comes to the weights of training over TCP. */

import assert from "node:assert/strict";
import { celgc, ROOT } from "../../_helpers/deno.ts";
import { run } from "../../_helpers/jobs.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
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

const COMMAND = "tasks/cli/main.ts";
/** Two rounds of two steps. */
const TINY = "--device cpu --max-steps 4 --interval 2 --batch-size 4 --train-size 64 --test-size 16"
  .split(" ");

const SAYS_EXIT_CODE = new URL("./_says_exit_code.ts", import.meta.url).href;

/** The codes that launchers have ended with, each once. */
function exitCodes(stderr: string): string[] {
  return [...new Set([...stderr.matchAll(/exits with code (\d+)/g)].map(([, code]) => code))];
}

for (const peer of MPI_PEERS) {
  const { name, missing, words } = peer, ranks = Math.max(...peer.sizes);
  const note = missing === null ? "" : ` (skipped: ${missing})`;

  Deno.test({
    name: `the command trains over ${name}, one launcher a rank${note}`,
    ignore: missing !== null,
    async fn() {
      await using folder = await temporaryFolder();
      const alone = await celgc(
        ...["launch", "--ranks", String(ranks), "--transport", "tcp", ...TINY, "--json"],
        ...["--out", `${folder.path}/tcp`],
      );
      assert.equal(alone.code, 0, alone.stderr);
      const args = ["launch", ...TINY, "--json", "--out", `${folder.path}/mpi`];
      const { code, stdout, stderr } = await mpirun(peer, ranks, COMMAND, { args });
      assert.equal(code, 0, stderr);
      assert.match(stderr, new RegExp(`launcher 0 of ${ranks}, from ${words}`));
      const [mpi, tcp] = [stdout, alone.stdout].map((text) => JSON.parse(text));
      assert.deepEqual([mpi.ranks, mpi.weightsHash], [ranks, tcp.weightsHash]);
    },
  });

  Deno.test({
    name: `what a run fails with is said over ${name}${note}`,
    ignore: missing !== null,
    async fn() {
      await using folder = await temporaryFolder();
      const args = ["launch", ...TINY, "--lr", "1e30", "--clip", "1e30", "--out", folder.path];
      const allow = ["--allow-all", `--preload=${SAYS_EXIT_CODE}`];
      const { code, stderr } = await mpirun(peer, ranks, COMMAND, { args, allow });
      assert.equal(code, 1, stderr);
      assert.match(stderr, /training has diverged: at step 2 rank \d has loss NaN/);
      assert.match(stderr, /celgc: rank \d on \S+ ended with exit code 65/);
      assert.deepEqual(exitCodes(stderr), ["1"], stderr);
    },
  });

  Deno.test({
    name: `a program's failure on a launcher's rank is told over ${name}${note}`,
    ignore: missing !== null,
    async fn() {
      const program = new URL("tests/runtime/programs/placed.ts", ROOT).href;
      const args = ["launch", "--transport", "mpi", "--allow", "ffi", program, "--"];
      const well = await mpirun(peer, 2, COMMAND, { args });
      assert.deepEqual([well.code, well.stdout.trim().split(/\r?\n/).sort()], [0, [
        "[0] rank 0 of 2: 3",
        "[1] rank 1 of 2: 3",
      ]], well.stderr);
      const { code, stderr } = await mpirun(peer, 2, COMMAND, {
        args: [...args, "1"],
        allow: ["--allow-all", `--preload=${SAYS_EXIT_CODE}`],
      });
      assert.match(stderr, /rank 1 on \S+ ended with exit code 3/);
      // MPICH's ends with 1 at times though all launchers have ended with 3, and may kill one that is about to.
      assert.deepEqual(exitCodes(stderr), ["3"], stderr);
      if (name !== "MPICH" || code !== 1) assert.equal(code, 3, stderr);
      const several = await mpirun(peer, 2, COMMAND, {
        args: ["launch", "--ranks", "2", ...TINY],
      });
      assert.notEqual(several.code, 0);
      assert.match(several.stderr, /start one for each rank, and leave --ranks out/);
    },
  });
}
