import assert from "node:assert/strict";
import { launchProgram } from "../../../runtime/launcher/launch.ts";
import { pidsIn, program, run, survivors } from "../../_helpers/jobs.ts";
import { serveRepository } from "../../_helpers/web_folder.ts";

/** What the probe said on each rank. */
function findings(lines: string[][]): Record<string, unknown>[] {
  return lines.map((own) => JSON.parse(own.at(-1)!));
}

Deno.test("ranks join, exchange, and may do nothing that was not allowed", async () => {
  await using directory = await temporary();
  const file = `${directory.path}/file`;
  await Deno.writeTextFile(file, "x");
  const { code, failure, lines } = await run({ ranks: 3, program: program("probe"), args: [file] });
  assert.equal(code, 0, failure?.message ?? "no failure was told");
  assert.deepEqual(lines.map(([first]) => first), new Array(3).fill("sum 3 of 3"));
  for (const [rank, found] of findings(lines).entries()) {
    assert.deepEqual(found, {
      args: [file],
      cwd: Deno.cwd(),
      rank: String(rank),
      sockets: found.sockets,
      answer: "NotCapable",
      home: "NotCapable",
      run: "NotCapable",
      read: "NotCapable",
      write: "NotCapable",
      network: "NotCapable",
      hostname: "NotCapable",
    });
  }
});

Deno.test("variables, directory and permissions are passed on; standard TCP can be demanded", async () => {
  await using directory = await temporary();
  const file = `${directory.path}/file`;
  await Deno.writeTextFile(file, "x");
  const { code, lines } = await run({
    ranks: 2,
    program: program("probe"),
    args: [file],
    env: { ANSWER: "42" },
    cwd: directory.path,
    allow: [`read=${directory.path}`],
    transport: "tcp",
  });
  assert.equal(code, 0);
  for (const found of findings(lines)) {
    assert.equal(found.cwd, directory.path);
    assert.equal(found.sockets, null);
    assert.deepEqual([found.answer, found.read, found.write, found.home], [
      "allowed",
      "allowed",
      "NotCapable",
      "NotCapable",
    ]);
  }
});

Deno.test("a rank may read and write in a folder with a comma in its name", async () => {
  await using directory = await temporary();
  const folder = `${directory.path}/I=1,4`, file = `${folder}/file`;
  await Deno.mkdir(folder);
  await Deno.writeTextFile(file, "x");
  const doubled = folder.replaceAll(",", ",,");
  const { code, failure, lines } = await run({
    ranks: 2,
    program: program("probe"),
    args: [file],
    allow: [`read=${doubled}`, `write=${doubled}`],
    logDir: `${folder}/logs`,
  });
  assert.equal(code, 0, failure?.message ?? "no failure was told");
  for (const { read, write, home } of findings(lines)) {
    assert.deepEqual([read, write, home], ["allowed", "allowed", "NotCapable"]);
  }
});

Deno.test("each rank's output is in its log, and its lines carry its rank", async () => {
  await using directory = await temporary();
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { launchProgram } from ${
        JSON.stringify(import.meta.resolve("../../../runtime/launcher/launch.ts"))
      };
      const { code } = await launchProgram({
        ranks: 3,
        program: new URL(${JSON.stringify(program("talks").href)}),
        logDir: ${JSON.stringify(`${directory.path}/logs`)},
      });
      Deno.exit(code);`,
    ],
  });
  const { code, stdout, stderr } = await command.output();
  const out = new TextDecoder().decode(stdout), err = new TextDecoder().decode(stderr);
  assert.equal(code, 0, err);
  for (let rank = 0; rank < 3; rank++) {
    const said = (text: string) =>
      text.split("\n").filter((line) => line.startsWith(`[${rank}] `)).map((line) => line.slice(4));
    assert.deepEqual(said(out), ["first", "", "größer", "x".repeat(16384), "yy", "no end"]);
    assert.deepEqual(said(err), [`rank ${rank} warns`]);
    const log = await Deno.readTextFile(`${directory.path}/logs/rank-${rank}.log`);
    assert.deepEqual(
      log.split("\n").toSorted(),
      [
        ...said(out),
        `rank ${rank} warns`,
        "",
      ].toSorted(),
    );
  }
  assert.equal(out.trimEnd().split("\n").length, 3 * 6);
});

Deno.test("the output of a raw rank is passed on as it is", async () => {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { launchProgram } from ${
        JSON.stringify(import.meta.resolve("../../../runtime/launcher/launch.ts"))
      };
      await launchProgram({
        ranks: 1,
        program: new URL(${JSON.stringify(program("talks").href)}),
        rawRank: 0,
      });`,
    ],
  }).output();
  assert.equal(code, 0);
  const own = new TextDecoder().decode(stdout);
  assert.equal(own, `first\n\ngrößer\n${"x".repeat(16384)}yy\nno end`);
});

Deno.test("a program that never joins is run all the same", async () => {
  const { code, lines } = await run({ ranks: 2, program: program("probe"), args: ["x", "alone"] });
  assert.equal(code, 0);
  assert.deepEqual(findings(lines).map(({ rank }) => rank), ["0", "1"]);
});

Deno.test("a program given by URL runs from a local HTTP server", async () => {
  await using server = serveRepository();
  const { code, failure, lines } = await run({
    ranks: 2,
    program: `${server.url}tests/examples/hello.ts`,
  });
  assert.equal(code, 0, failure?.message ?? "no failure was told");
  assert.deepEqual(lines.map((own) => own.at(-1)), [
    "hello from rank 0 of 2",
    "hello from rank 1 of 2",
  ]);
  const missing = await run({ ranks: 2, program: `${server.url}nowhere.ts` });
  assert.equal(missing.code, 1);
  assert.match(missing.failure!.message, /nowhere\.ts/);
});

Deno.test("a program without a launcher is a job of one rank", async () => {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", import.meta.resolve("../../examples/hello.ts")],
  }).output();
  assert.equal(code, 0);
  assert.equal(new TextDecoder().decode(stdout), "hello from rank 0 of 1\n");
});

Deno.test("a program that ends without closing its communicator ends well", async () => {
  const { code, failure } = await run({ ranks: 3, program: program("ends"), args: ["forget"] });
  assert.equal(code, 0, failure?.message ?? "no failure was told");
});

Deno.test("the exit code is that of the first rank that fails, and the others are ended", async () => {
  const { code, failure, lines, ms } = await run({
    ranks: 3,
    program: program("ends"),
    args: ["code", "1"],
  });
  assert.equal(code, 7);
  assert.equal(failure?.rank, 1);
  assert.match(failure.message, /^rank 1 on \S+ ended with exit code 7/);
  assert(ms < 15_000, `${ms} ms`);
  assert.deepEqual(await survivors(pidsIn(lines.flat()), 5000), []);
});

Deno.test({
  name: "a job leaves neither processes nor timers behind, whether it ends well or not",
  sanitizeOps: true,
  sanitizeResources: true,
  async fn() {
    for (const [way, expected] of [["forget", 0], ["code", 7]] as const) {
      const { code } = await run({ ranks: 2, program: program("ends"), args: [way, "1"] });
      assert.equal(code, expected);
    }
  },
});

Deno.test("an error after the goodbye is a failure too", async () => {
  const { code, failure } = await run({
    ranks: 2,
    program: program("ends"),
    args: ["error after goodbye", "1"],
  });
  assert.equal(code, 1);
  assert.match(failure!.message, /^rank 1 on \S+ ended with exit code 1: Error: too late/);
});

Deno.test("a rank that stalls after its goodbye is given up after the timeout", async () => {
  const { code, failure, lines, ms } = await run({
    ranks: 3,
    program: program("ends"),
    args: ["stalls after its goodbye", "1"],
    timeout: 2,
    signal: AbortSignal.timeout(40_000),
  });
  assert.equal(code, 1);
  assert.match(
    failure!.message,
    /^rank 1 on \S+ has left the job, but neither ended nor gave a sign of life for 2 s/,
  );
  assert(ms > 2000 && ms < 20_000, `${ms} ms`);
  assert.deepEqual(await survivors(pidsIn(lines.flat()), 5000), []);
});

Deno.test("a rank may work on after its goodbye for longer than the timeout", async () => {
  const { code, failure } = await run({
    ranks: 3,
    program: program("ends"),
    args: ["works after its goodbye", "1"],
    timeout: 2,
  });
  assert.equal(code, 0, failure?.message ?? "no failure was told");
});

Deno.test("a rank that ends without joining, while others wait for it, is a failure", async () => {
  const { code, failure, ms } = await run({
    ranks: 3,
    program: program("ends"),
    args: ["never joins", "2"],
  });
  assert.equal(code, 1);
  assert.match(failure!.message, /^rank 2 on \S+ ended with exit code 0 without calling init\(\)/);
  assert(ms < 15_000, `${ms} ms`);
});

Deno.test("abort() ends every rank with its exit code and its message", async () => {
  const { code, failure, lines, ms } = await run({
    ranks: 3,
    program: program("ends"),
    args: ["abort", "1"],
  });
  assert.equal(code, 42);
  assert.match(failure!.message, /rank 1 on \S+ ended the job with exit code 42: enough is enough/);
  assert(ms < 15_000, `${ms} ms`);
  assert.deepEqual(await survivors(pidsIn(lines.flat()), 5000), []);
});

Deno.test("200 strangers at the rendezvous neither delay nor end the job", async () => {
  const { code, failure, lines, ms } = await run({
    ranks: 3,
    program: program("ends"),
    args: ["strangers", "0"],
  });
  assert.equal(code, 0, failure?.message ?? "no failure was told");
  assert.deepEqual(lines.map((own) => own.at(-1)), new Array(3).fill("all here"));
  assert(ms < 15_000, `${ms} ms`);
});

Deno.test("an AbortSignal ends the job, stubborn ranks included", async () => {
  const controller = new AbortController();
  const started = performance.now();
  const { code, interrupted, failure, lines } = await run({
    ranks: 2,
    program: program("ends"),
    args: ["stubborn"],
    signal: controller.signal,
    onOutput: (_rank, line) => {
      if (line.startsWith("pid ")) setTimeout(() => controller.abort(), 200);
    },
  });
  assert.deepEqual([code, interrupted, failure], [143, "abort", undefined]);
  assert(performance.now() - started < 15_000);
  assert.deepEqual(await survivors(pidsIn(lines.flat()), 5000), []);
});

Deno.test("what a rank has started ends with it", async () => {
  const pids: number[] = [];
  const { code } = await run({
    ranks: 1,
    program: program("ends"),
    args: ["child", "0"],
    allow: ["run=sleep"],
    onOutput: (_rank, line) => pids.push(...pidsIn([line])),
  });
  assert.equal(code, 0);
  assert.equal(pids.length, 2);
  assert.deepEqual(await survivors(pids, 5000), []);
});

Deno.test("the secret is in no argument, no variable and no log", async () => {
  await using directory = await temporary();
  const { code, lines } = await run({
    ranks: 2,
    program: program("spies"),
    logDir: directory.path,
    allow: ["all"], // nothing less opens /proc/*/environ
  });
  assert.equal(code, 0);
  for (const [seen] of lines) {
    assert.match(seen, /CELGC_JOB/);
    assert.doesNotMatch(seen, /[0-9a-f]{64}/i);
  }
  for await (const { name } of Deno.readDir(directory.path)) {
    assert.doesNotMatch(await Deno.readTextFile(`${directory.path}/${name}`), /[0-9a-f]{64}/i);
  }
});

Deno.test("a rank that cannot be started leaves no log open, and no folder", async () => {
  await using directory = await temporary();
  const logDir = `${directory.path}/logs`;
  const args = ["\0"]; // which no process can be given
  await assert.rejects(
    launchProgram({ ranks: 2, program: program("ends"), args, logDir, handleSignals: false }),
    /cannot launch: rank 0 cannot be started: /,
  );
  assert.deepEqual([...Deno.readDirSync(logDir)].map(({ name }) => name), ["rank-0.log"]);
  if (Deno.build.os !== "linux") return;
  const open = [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      return []; // that of the listing itself
    }
  });
  assert.deepEqual(open.filter((path) => path.startsWith(directory.path)), []);
});

Deno.test("a secret in a file that others can read is refused", async () => {
  await using directory = await temporary();
  const file = `${directory.path}/secret`;
  await Deno.writeTextFile(file, "00".repeat(32), { mode: 0o644 });
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-env",
      "--allow-net",
      "--allow-read",
      program("probe").href,
    ],
    env: {
      CELGC_RANK: "0",
      CELGC_SIZE: "2",
      CELGC_JOB: "j",
      CELGC_RENDEZVOUS: "127.0.0.1:1",
      CELGC_SECRET_FILE: file,
    },
  }).output();
  assert.equal(code, 1);
  assert.match(new TextDecoder().decode(stderr), /its mode must be 0600, not 0644/);
});

for (
  const [what, options, message] of [
    ["no ranks", { ranks: 0 }, /number of ranks is from 1 to 65536, not 0/],
    ["half a rank", { ranks: 1.5 }, /not 1\.5/],
    ["no such program", { program: "/no/such/program.ts" }, /no program \/no\/such\/program\.ts/],
    ["no such directory", { cwd: "/dev/null/folder" }, /no directory \/dev\/null\/folder/],
    ["a timeout of nothing", { timeout: 0 }, /timeout is a number of seconds above 0, not 0/],
    ["one of our own variables", { env: { CELGC_RANK: "1" } }, /"CELGC_RANK" cannot be set/],
    ["an unknown raw rank", { rawRank: 2 }, /no rank 2 among 2/],
  ] as const
) {
  Deno.test(`${what}: refused before anything is started`, async () => {
    await assert.rejects(
      launchProgram({ ranks: 2, program: program("ends"), ...options }),
      (error) => error instanceof RangeError && message.test(error.message),
    );
  });
}

async function temporary() {
  const path = await Deno.realPath(await Deno.makeTempDir({ prefix: "celgc-test-" }));
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test("a rank that does not call init() in time ends the job, which names it", async () => {
  const { code, failure, ms } = await run({
    ranks: 3,
    program: program("ends"),
    args: ["hangs", "1"],
    joinTimeout: 3,
  });
  assert.equal(code, 1);
  // On a busy machine another rank may be late as well.
  assert.match(
    failure!.message,
    /the job cannot start: ranks? (\d, )*1(, \d)* ha(s|ve) not called init\(\) within 3 s/,
  );
  assert.ok(ms > 3000 && ms < 45_000, `${ms} ms`);
});

Deno.test("init() in a Worker of a rank says so at once; without a launcher it is a job of one", async () => {
  const { code, failure, lines } = await run({
    ranks: 2,
    program: program("worker"),
    allow: ["read"],
  });
  assert.equal(code, 0, failure?.message ?? "a rank failed");
  for (const [line] of lines) assert.match(line, /^cannot init\(\) in a Worker: .*main thread/);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", program("worker").href],
  }).output();
  assert.equal(new TextDecoder().decode(stdout), "rank of 1\n");
});

Deno.test("a second init() says so, from another copy of the runtime too, and harms nothing", async () => {
  const { code, failure, lines } = await run({
    ranks: 2,
    program: program("twice"),
    allow: ["read"],
  });
  assert.equal(code, 0, failure?.message ?? "a rank failed");
  for (const own of lines) {
    assert.equal(own.length, 3, own.join("\n"));
    for (const line of own.slice(0, 2)) {
      assert.match(line, /^cannot init\(\): it was called before/);
    }
    assert.equal(own[2], "sum 2");
  }
});
