/** The communicator over real MPI libraries, under their own launchers. */

import assert from "node:assert/strict";
import { BATTERY } from "../_battery.ts";
import { deno } from "../../_helpers/deno.ts";
import { program, run } from "../../_helpers/jobs.ts";
import { MPI_PEERS, mpirun } from "./_mpirun.ts";

const PROGRAMS = "tests/runtime/programs";

for (const peer of MPI_PEERS) {
  const { name, missing } = peer, ignore = missing !== null;
  const note = ignore ? ` (skipped: ${missing})` : "";

  for (const ranks of peer.sizes) {
    Deno.test({
      name: `calls and messages on ${ranks} ranks over ${name}${note}`,
      ignore,
      async fn(t) {
        const { code, stdout, stderr } = await mpirun(peer, ranks, `${PROGRAMS}/battery.ts`);
        const passed = stdout.split("\n").flatMap((line) =>
          /^passed (.*?)\r?$/.exec(line)?.[1] ?? []
        );
        for (const [i, check] of BATTERY.entries()) {
          const reached = i <= passed.length;
          await t.step({
            name: reached ? check.name : `${check.name} (not reached)`,
            ignore: !reached,
            fn: () => assert.equal(passed[i], check.name, stderr),
          });
        }
        assert.equal(code, 0, stderr);
        assert.ok(stderr.includes(`celgc: rank 0 of ${ranks}, from ${peer.words}`), stderr);
      },
    });
  }

  Deno.test({
    name: `collectives of all kinds at once over ${name}${note}`,
    ignore,
    async fn() {
      const { code, stdout, stderr } = await mpirun(peer, 2, `${PROGRAMS}/mixed.ts`);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /all 600 right; \d{6,} bytes sent/);
    },
  });

  Deno.test({
    name: `a rank that exits, even with 0, or aborts ends the job over ${name}${note}`,
    ignore,
    async fn() {
      const ends: [string[], number][] = [[["1"], 3], [["1", "abort"], 5]];
      for (const [args, expected] of ends) {
        const { code, stderr } = await mpirun(peer, 2, `${PROGRAMS}/placed.ts`, { args });
        assert.equal(code, expected, stderr);
      }
      // MPICH's launcher would count this as an orderly end.
      const args = ["allreduce", "1", "exit"];
      const { code, stderr } = await mpirun(peer, 2, `${PROGRAMS}/dies.ts`, { args });
      assert.equal(code, 1, stderr);
    },
  });

  Deno.test({
    name: `a rank that falls silent over ${name} is lost after the timeout${note}`,
    ignore,
    async fn() {
      const args = ["allreduce", "1", "stop"];
      const { code, stdout, stderr } = await mpirun(peer, 2, `${PROGRAMS}/dies.ts`, {
        args,
        env: { CELGC_TIMEOUT: "3" },
      });
      assert.notEqual(code, 0);
      const lost = /^lost (\{.*\})/m.exec(stdout)?.[1];
      assert.ok(lost !== undefined, `${stdout}${stderr}`);
      const { rank, reason } = JSON.parse(lost);
      assert.deepEqual([rank, reason], [1, "it gave no sign of life for 3 s"]);
    },
  });

  Deno.test({
    name: `another library than that of ${name}'s launcher is refused${note}`,
    ignore: ignore || MPI_PEERS.some(({ missing }) => missing !== null),
    async fn() {
      const { library } = MPI_PEERS.find((other) => other !== peer)!;
      const { code, stderr } = await mpirun(peer, 2, `${PROGRAMS}/placed.ts`, {
        env: { CELGC_MPI_LIBRARY: library },
      });
      assert.notEqual(code, 0);
      assert.ok(stderr.includes(`${library} (`), stderr);
      assert.match(
        stderr,
        /RendezvousError: .* says rank 0 of 1, but .*'s variables say rank \d of 2/,
      );
      assert.match(stderr, /CELGC_MPI_LIBRARY/);
    },
  });
}

/** A rank of a launcher that has not started it: what stops before the library is asked. */
async function startAlone(env: Record<string, string>, flags: string[]) {
  const { code, stderr } = await deno(
    ["run", "--no-prompt", "--no-check", ...flags, program("placed").href],
    { env: { CELGC_TRANSPORT: "mpi", ...env } },
  );
  assert.equal(code, 1, stderr);
  return stderr;
}

const PMI = { PMI_RANK: "0", PMI_SIZE: "2" };

Deno.test("the mpi transport names the permission, the package and the launcher that it lacks", async () => {
  const ignored = Deno.build.os !== "linux";
  const permission = await startAlone(PMI, ["--allow-env"]);
  assert.match(permission, ignored ? /is for Linux/ : /RendezvousError: .*--allow-ffi/);
  if (!ignored) {
    const file = await startAlone({ ...PMI, CELGC_MPI_LIBRARY: "/nowhere/libmpi.so" }, ["-A"]);
    assert.match(
      file,
      /RendezvousError: cannot open an MPI library \(\/nowhere\/libmpi.so.*CELGC_MPI/,
    );
  }
  assert.match(await startAlone({}, ["-A"]), /none has started this process: use mpirun -n 4/);
  const torchrun = await startAlone({ RANK: "0", WORLD_SIZE: "2" }, ["-A"]);
  assert.match(torchrun, /torchrun's variables are of none: use mpirun/);
});

Deno.test("celgc's launcher alone starts no ranks over mpi, and says who helps", async () => {
  await assert.rejects(run({ ranks: 2, transport: "mpi", program: program("placed") }), {
    name: "RangeError",
    message: /cannot launch ranks that talk over mpi: .*mpirun -n 4 deno task launch/,
  });
});
