import assert from "node:assert/strict";
import { join } from "node:path";
import { celgc, celgcCommand, endedAs } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { TINY_FLAGS } from "./_tiny.ts";

const sweep = (...args: string[]) => celgc("sweep", ...args);

Deno.test("the command prints a line for each cell and a table, and runs nothing twice", async () => {
  await using folder = await temporaryFolder();
  const args = [...TINY_FLAGS, "--interval", "1,2", "--out", folder.path];
  const dry = await sweep(...args, "--baseline", "--dry-run");
  assert.deepEqual([dry.code, dry.stdout], [
    0,
    "algorithm=naive-parallel\ninterval=1\ninterval=2\n",
  ]);
  assert.deepEqual([...Deno.readDirSync(folder.path)], []);

  const first = await sweep(...args);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stderr, /^\[1\/2\] interval=1 …\n\[1\/2\] interval=1: training loss \d/);
  assert.match(first.stdout, /^interval {2}train loss[^]*\n1 {9,}\d[^]*\n2 {9,}\d[^]*speedup/);

  const quiet = await sweep(...args, "--quiet");
  assert.deepEqual(quiet, { code: 0, stdout: "", stderr: "" });
  const json = await sweep(...args, "--quiet", "--json");
  assert.deepEqual(
    JSON.parse(json.stdout).cells.map((cell: { reused: boolean }) => cell.reused),
    [true, true],
  );
  const listed = await sweep(...args, "--baseline", "--dry-run");
  assert.equal(
    listed.stdout,
    "algorithm=naive-parallel\ninterval=1  finished\ninterval=2  finished\n",
  );
});

Deno.test("a failed cell makes the command fail, with its message and where its logs are", async () => {
  await using folder = await temporaryFolder();
  const { code, stdout: out, stderr: err } = await sweep(
    ...TINY_FLAGS,
    ..."--algorithm local-sgd --lr 1e30,0.1 --out".split(" "),
    folder.path,
  );
  assert.equal(code, 1);
  assert.match(err, /\[1\/2\] lr=1e\+30 failed: [^]*training has diverged/);
  assert.match(err, /celgc: 1 of 2 cells failed: lr=1e\+30 \(.*rank-<r>\.log\)\n$/);
  assert.match(out, /1e\+30 .* failed\n0\.1 /);
});

Deno.test("a wrong option is one line and exit code 2, and nothing is run", async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "file");
  await Deno.writeTextFile(file, "");
  for (
    const [args, message] of [
      [
        ["--interval", "1,two"],
        /--interval must be a whole number from 1, or a schedule such as .*, not "two"/,
      ],
      [["--ranks", "4,2", "--participants", "3"], /at most --ranks, 2, not 3 \(cell ranks=2\)/],
      [["--intervals", "1,2"], /unknown option '--intervals'/],
      [["--out", file], /--out must be a folder, not the file/],
      [["--out", "/proc/no/folder"], /--out \/proc\/no\/folder cannot be made: .*/],
      [["--out", file, "--dry-run"], /--out must be a folder, not the file/],
      [["--nesterov", "maybe"], /--nesterov must be on, off or both/],
    ] as const
  ) {
    const { code, stdout: out, stderr: err } = await sweep(...args);
    assert.deepEqual([code, out], [2, ""], `${args}`);
    assert.match(err, message);
    assert.match(err, /^celgc: .*\n$/);
  }
});

Deno.test("Ctrl-C ends a sweep with its ranks; the same command goes on with it", async () => {
  await using folder = await temporaryFolder();
  // The second cell has no end in sight, so that Ctrl-C finds it at work however busy the machine is.
  const args = [...TINY_FLAGS, "--max-steps", "4,10000000", "--epochs", "100000000"];
  const log = join(folder.path, "max-steps=10000000", "metrics.jsonl");
  for (
    const first of [
      /\[1\/2\] max-steps=4 …\n/,
      /\[1\/2\] max-steps=4: .*\(finished before, not run again\)\n/,
    ]
  ) {
    await Deno.remove(log).catch(() => {});
    const child = celgcCommand("sweep", ...args, "--out", folder.path).spawn();
    const ended = child.output();
    let running = true;
    ended.then(() => running = false);
    while (running && await Deno.stat(log).then(({ size }) => size, () => 0) === 0) {
      await new Promise((wake) => setTimeout(wake, 5));
    }
    if (running) child.kill("SIGINT");
    const { code, stderr: err } = endedAs(await ended);
    assert.equal(code, 130, err);
    assert.match(err, first);
    assert.match(err, /\[2\/2\] max-steps=10000000 …\n/);
    assert.match(
      err,
      /ended by SIGINT with 1 of 2 cells to go; the same command with --out .* goes/,
    );
    if (Deno.build.os === "linux") assert.deepEqual(processesOn(folder.path), []);
  }
});

/** Command lines of the running processes that name a folder. */
function processesOn(folder: string): string[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    try {
      const line = /^\d+$/.test(name) ? Deno.readTextFileSync(`/proc/${name}/cmdline`) : "";
      return line.includes(folder) ? [line.replaceAll("\0", " ")] : [];
    } catch {
      return []; // it has ended meanwhile
    }
  });
}
