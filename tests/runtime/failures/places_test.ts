/** Ranks go on without others wherever they are: on several hosts, and under launchers that are not ours. */

import assert from "node:assert/strict";
import { launchProgram } from "../../../runtime/launcher/launch.ts";
import { program, run } from "../../_helpers/jobs.ts";
import { runOnThreeHosts, waysBetweenHosts } from "../_three_hosts.ts";

/** Runs a job that loses a rank, with one on each of three hosts; gives what each rank said last. */
async function lose(
  join: (host: number) => string[],
  victim: number,
  name: string,
  args: string[],
): Promise<string[]> {
  const { code, failure, losses, last } = await runOnThreeHosts(join, {
    program: program(name),
    args,
    allow: ["run", "ffi"],
    onLost: () => {},
    ...(name === "failures/grows" ? { respawn: () => 1 } : {}),
  });
  assert.equal(code, 0, `${failure?.message}\n${last.join("\n")}`);
  assert.deepEqual(losses?.map(({ rank }) => rank), [victim]);
  return last;
}

for (const [hosts, join] of Object.entries(waysBetweenHosts(29670))) {
  Deno.test(`ranks on hosts ${hosts} go on without one of them`, async () => {
    const last = await lose(join, 1, "failures/survives", ["allreduce", "1", "kill"]);
    assert.equal(last[0], "went on as 0 of 2: 0 2");
    assert.equal(last[2], "went on as 1 of 2: 0 2");
  });

  Deno.test(`ranks on hosts ${hosts} let another in`, async () => {
    // Of the launcher's own host, and of another one, which has no other rank.
    for (const victim of [0, 1]) {
      const last = await lose(join, victim, "failures/grows", [`${victim}@5`, "10", "3"]);
      assert.equal(last[2], `done as 1 of 3: ${1 - victim} 2 3`);
      assert.equal(last[3], `done as 2 of 3: ${1 - victim} 2 3`);
    }
  });
}

Deno.test("ranks that nobody of ours has started go on, also without rank 0 and its rendezvous", async () => {
  for (const victim of [0, 2]) {
    const folder = await Deno.makeTempDir({ prefix: "celgc-test-" });
    const outputs = await Promise.all(
      [0, 1, 2].map((rank) =>
        new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--no-check", program("failures/survives").href]
            .concat("allreduce", String(victim), "kill"),
          env: {
            PMIX_NAMESPACE: `failures-${victim}`,
            CELGC_FOLDER: folder,
            OMPI_COMM_WORLD_RANK: String(rank),
            OMPI_COMM_WORLD_SIZE: "3",
            OMPI_COMM_WORLD_LOCAL_SIZE: "3",
          },
          stdin: "null",
          signal: AbortSignal.timeout(60_000),
        }).output()
      ),
    );
    await Deno.remove(folder, { recursive: true });
    const living = [0, 1, 2].filter((rank) => rank !== victim);
    for (const [place, rank] of living.entries()) {
      const { code, stdout, stderr } = outputs[rank], decoder = new TextDecoder();
      assert.equal(code, 0, decoder.decode(stderr));
      const last = decoder.decode(stdout).trim().split("\n").at(-1);
      assert.equal(last, `went on as ${place} of 2: ${living.join(" ")}`);
    }
  }
});

Deno.test("over an MPI library nobody goes on, which is said before anything starts", async () => {
  await assert.rejects(
    launchProgram({
      ranks: 2,
      program: program("probe"),
      transport: "mpi",
      onFailure: "return",
    }),
    { name: "RangeError", message: /over an MPI library ranks cannot go on without each other/ },
  );
});

Deno.test("ranks that differ in what a loss is to them do not start", async () => {
  const { code, failure, lines } = await run({
    ranks: 2,
    program: program("failures/ends_after"),
    args: ["differ"],
  });
  assert.equal(code, 1, lines.flat().join("\n"));
  assert.match(
    failure!.message,
    /cannot start: rank \d joined with onFailure "(return|abort)", rank \d with "(abort|return)"/,
  );
});

Deno.test("the exit code tells whether anybody has come to a good end", async () => {
  for (
    const [way, expected, lost] of [
      ["nobody catches it", 7, 1], // as the first that failed
      ["fails after its goodbye", 3, 0], // nobody has missed it
      ["abort", 42, 0],
      ["leaves", 0, 0],
    ] as const
  ) {
    const { code, losses, failure } = await run({
      ranks: 3,
      program: program("failures/ends_after"),
      args: [way],
      allow: ["all"], // it looks into /proc
      onLost: () => {},
    });
    assert.equal(code, expected, `${way}: ${failure?.message}`);
    if (lost > 0) assert(losses!.length >= lost, way);
  }
});
