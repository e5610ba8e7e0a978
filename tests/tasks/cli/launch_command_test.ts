import assert from "node:assert/strict";
import { permissionHint } from "../../../tasks/cli/permission_hint.ts";
import { OPTIONS } from "../../../tasks/options/table.ts";
import { celgc, ROOT } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const SMALL = "--ranks 2 --max-steps 4 --train-size 100 --test-size 20 --device cpu".split(" ");

Deno.test("a run prints plain lines into a pipe and a summary at the end", async () => {
  await using folder = await temporaryFolder();
  const ended = await celgc("launch", ...SMALL, "--out", `${folder.path}/run`);
  assert.equal(ended.code, 0, ended.stderr);
  assert.match(ended.stderr, /^2 ranks, resnet8 on generated-images, celgc, I = 4/m);
  assert.match(ended.stderr, /^cpu: onnxruntime-node .*75,290 weights/m);
  assert.match(ended.stderr, /^untrained +test accuracy/m);
  // deno-lint-ignore no-control-regex -- no escape sequence belongs in a pipe
  assert.doesNotMatch(ended.stderr, /\x1b\[/);
  for (
    const line of [
      /^test accuracy .*untrained/m,
      /^test loss/m,
      /^speed .*steps\/s.*images\/s/m,
      /^communication .*of the time.*1 round, .*sent/m,
      /^clipped .*of the steps/m,
      /^drift .*never above 2γI/m,
      /^weights .*identical, bit for bit, on all 2 ranks/m,
      /^files /m,
    ]
  ) assert.match(ended.stdout, line);
});

Deno.test("an interval that is longer than the run is said, also where epochs limit it", async () => {
  await using folder = await temporaryFolder();
  const small = "--ranks 2 --device cpu --train-size 40 --test-size 10 --epochs 2 --interval 9";
  const args = ["launch", ...small.split(" "), "--out", `${folder.path}/run`];
  const { code, stderr } = await celgc(...args);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^note: --interval 9 is longer than the run of 3 steps: the ranks meet at/m);
});

Deno.test("--json prints the summary alone on standard output, --quiet nothing", async () => {
  await using folder = await temporaryFolder();
  const json = await celgc("launch", ...SMALL, "--json", "--quiet", "--out", `${folder.path}/a`);
  assert.equal(json.code, 0, json.stderr);
  assert.equal(JSON.parse(json.stdout).steps, 4);
  assert.equal(json.stderr, "");
  const quiet = await celgc("launch", ...SMALL, "--quiet", "--out", `${folder.path}/b`);
  assert.deepEqual(quiet, { code: 0, stdout: "", stderr: "" });
});

const WRONG: [string[], RegExp][] = [
  [["launch", "program.ts", "--mine"], /unknown option '--mine'.*; .* stands behind --/],
  [["launch", "--intervall", "3"], /unknown option '--intervall' \(Did you mean --interval\?\)/],
  [["launch", "--learning-rate", "3"], /unknown option '--learning-rate' \(Did you mean --lr\?\)/],
  [["launch", "-n", "4"], /unknown option '-n' \(Did you mean --ranks\?\)/],
  [["sweep", "--baselin"], /unknown option '--baselin' \(Did you mean --baseline\?\)/],
  [["launch", "--model", "resent20"], /not "resent20" \(did you mean resnet20\?\)/],
  [["launch", "--interval", "0"], /--interval must be a whole number from 1, not 0/],
  [["launch", "--ranks"], /--ranks.* argument missing/],
  [["launch", "net.onnx"], /net\.onnx is a network.*: --model net\.onnx trains it/],
  [["runs", "--sort", "loss"], /unknown option '--sort'; --help lists them/],
  [["tabulate"], /unknown command 'tabulate'; the commands are launch, join, .*export/],
  [["generate"], /missing required argument 'run'; --help says what it takes/],
  [["launch", "--preset", "cifar"], /--preset must be one of cifar10-resnet56/],
  [["launch", "--algorithm", "single", "--ranks", "4"], /one rank/],
  [["launch", "--task", "cifar10", "--data", "/dev/null/folder"], /--data .*\/dev\/null\/folder/],
  [
    ["launch", "--out", "deno.json"],
    /--out deno\.json cannot be made: a file of that name exists$/m,
  ],
  [
    ["export", "--out", "no/such/folder/f.onnx"],
    /--out no\/such\/folder\/f\.onnx cannot be written: there is no such file or folder$/m,
  ],
  [["launch", "--cwd", "/dev/null/folder", "mod.ts"], /no directory \/dev\/null\/folder/],
  [
    ["launch", "--allow", "read=a,b,write=a", "mod.ts"],
    /--allow: one permission each time, as in --allow read=a,b --allow write=a, not "read=a,b,write=a"/,
  ],
  [["launch", "--allow", "everything", "mod.ts"], /--allow: a permission is .*"everything"/],
  [["launch", "--transport", "pigeon", "mod.ts"], /--transport must be one of auto, tcp, unix/],
  [["launch", "--listen", "192.0.2.1", "mod.ts"], /cannot listen on 192\.0\.2\.1: /],
  [
    ["launch", ..."--tls-cert no.pem --tls-key no.pem --tls-ca no.pem mod.ts".split(" ")],
    /no file no\.pem/,
  ],
  [
    ["launch", "README.md"],
    /cannot launch README\.md: a program of ranks is JavaScript, TypeScript/,
  ],
  [["launch", "no_such_program.ts"], /no program no_such_program\.ts/],
  [["launch", "--lr", "1", "program.ts"], /--lr is for training .* program\.ts/],
  [["join"], /cannot join without an invitation.*: .* give --invitation FILE$/m],
  [["help", "tabulate"], /unknown command 'tabulate'; the commands are launch, join, .*export/],
  [["lunch"], /unknown command 'lunch' \(Did you mean launch\?\)/],
];

for (const [args, message] of WRONG) {
  Deno.test(`celgc ${args.join(" ")}: one line and exit code 2`, async () => {
    const { code, stdout, stderr } = await celgc(...args);
    assert.equal(code, 2, stderr);
    assert.equal(stdout, "");
    assert.match(stderr, message);
    assert.match(stderr, /^celgc: [^\n]*\n$/);
  });
}

Deno.test("what the launcher refuses, it refuses before a run's folder is made", async () => {
  await using folder = await temporaryFolder();
  for (const wrong of [["--cwd", "/dev/null/folder"], ["--listen", "192.0.2.1"]]) {
    const out = `${folder.path}/run`;
    const { code, stderr } = await celgc("launch", ...SMALL, ...wrong, "--out", out);
    assert.equal(code, 2, stderr);
    assert.ok(stderr.includes(wrong[1]), stderr);
    await assert.rejects(Deno.stat(out), Deno.errors.NotFound);
  }
});

/** Wrong data: what is written where CIFAR-10 or a text is looked for, and what is said of it. */
const WRONG_DATA: Record<string, [Record<string, Uint8Array | string>, string, RegExp]> = {
  "a truncated batch": [
    { "test_batch.bin": new Uint8Array(3000) },
    "cifar10",
    /cannot read CIFAR-10: .*test_batch\.bin must be a file of whole records/,
  ],
  "an empty batch": [{ "test_batch.bin": "" }, "cifar10", /found 0 bytes/],
  "a batch of something else": [
    { "data_batch_2.bin": new Uint8Array(3073).fill(0x80) },
    "cifar10",
    /data_batch_2\.bin has label 128 in record 0/,
  ],
  "a gzipped text": [
    { "train.txt": new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]) },
    "ptb",
    /cannot read the text: .*train\.txt must be UTF-8/,
  ],
  "an empty text": [{ "valid.txt": " \n" }, "ptb", /valid\.txt is empty/],
};

for (const [what, [files, task, message]] of Object.entries(WRONG_DATA)) {
  Deno.test(`${what} is found before ranks start: one line, exit code 2 and no folder`, async () => {
    await using folder = await temporaryFolder();
    const { path } = folder, out = `${path}/run`, good: typeof files = {};
    for (let n = 1; n <= 5; n++) good[`data_batch_${n}.bin`] = new Uint8Array(3073);
    good["test_batch.bin"] = new Uint8Array(3073);
    for (const split of ["train", "valid", "test"]) good[`${split}.txt`] = "a b c\n";
    for (const [name, content] of Object.entries({ ...good, ...files })) {
      await Deno.writeFile(
        `${path}/${name}`,
        typeof content === "string" ? new TextEncoder().encode(content) : content,
      );
    }
    const args = ["--ranks", "2", "--device", "cpu", "--task", task, "--data", path];
    const { code, stdout, stderr } = await celgc("launch", ...args, "--out", out);
    assert.deepEqual([code, stdout], [2, ""], stderr);
    assert.match(stderr, message);
    assert.match(stderr, /^celgc: [^\n]*\n$/);
    await assert.rejects(Deno.stat(out), Deno.errors.NotFound);
  });
}

Deno.test("--allow gives a program permissions, which it does not have without", async () => {
  await using folder = await temporaryFolder();
  const program = `${folder.path}/program.ts`;
  await Deno.writeTextFile(
    program,
    `const state = (descriptor) => Deno.permissions.querySync(descriptor).state;
console.log(state({ name: "read", path: "/etc/hostname" }), state({ name: "ffi" }));
`,
  );
  const bare = await celgc("launch", "--ranks", "1", program);
  assert.equal(bare.stdout, "[0] prompt prompt\n", bare.stderr);
  const allowed = ["--allow", "read=/etc/hostname,/etc/hosts", "--allow", "ffi"];
  const free = await celgc("launch", "--ranks", "1", ...allowed, program);
  assert.equal(free.stdout, "[0] granted granted\n", free.stderr);
  await Deno.writeTextFile(program, `Deno.readTextFileSync("/etc/hostname");\n`);
  const refused = await celgc("launch", "--ranks", "1", program);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /celgc: a program has .* given: --allow read=\/etc\/hostname\n$/);
});

Deno.test("a program that fails shows its error once, and its survivors nothing of the runtime", async () => {
  await using folder = await temporaryFolder();
  const program = `${folder.path}/program.ts`;
  await Deno.writeTextFile(
    program,
    `import { init } from "${new URL("runtime/mod.ts", ROOT)}";
await using comm = await init();
if (comm.rank === 1) throw new Error("boom");
await comm.barrier();
`,
  );
  const { code, stderr } = await celgc("launch", "--ranks", "3", program);
  assert.equal(code, 1);
  assert.match(stderr, /^celgc: rank 1 on .* ended with exit code 1: Error: boom$/m);
  assert.equal(stderr.match(/throw new Error\("boom"\)/g)?.length, 1, stderr);
  assert.doesNotMatch(stderr, /\/runtime\//, `no frame of the runtime: ${stderr}`);
  for (const survivor of [0, 2]) {
    assert.equal(stderr.match(new RegExp(`^\\[${survivor}\\]`, "gm"))?.length, 1, stderr);
  }
});

Deno.test("--help begins with what everybody needs, and says where the rest is", async () => {
  const { code, stdout } = await celgc("launch", "--help");
  assert.equal(code, 0);
  for (const flag of ["--ranks", "--preset", "--interval", "--lr", "--clip", "--data", "--out"]) {
    assert.ok(stdout.includes(`  ${flag} `), flag);
  }
  assert.doesNotMatch(stdout, /--tls-cert|--dropout-word/);
  assert.match(
    stdout,
    /--help what \| step \| ranks \| data \| run \| lstm \| gpt; all of them: --help all/,
  );
  const lstm = await celgc("launch", "--help", "lstm");
  assert.match(lstm.stdout, /--dropout-word/);
  assert.doesNotMatch(lstm.stdout, /--ranks/);
  assert.deepEqual(await celgc("help", "launch", "lstm"), lstm);
  const wrong = await celgc("launch", "--help", "lst");
  assert.equal(wrong.code, 2);
  assert.match(
    wrong.stderr,
    /--help must be one of what, .*, all, not "lst" \(did you mean lstm\?\)/,
  );
});

Deno.test("--help all shows every option with its default and unit", async () => {
  const { code, stdout } = await celgc("launch", "--help", "all");
  assert.equal(code, 0);
  // An entry begins at its flag; help may name other flags.
  const entries = stdout.split(/\n(?= {2}--)/).map((entry) => entry.trim().replace(/\s+/g, " "));
  for (const { flag, unit, placeholder } of Object.values(OPTIONS)) {
    const entry = entries.find((entry) => entry.startsWith(`${flag} `));
    assert.ok(entry, `${flag} is missing`);
    if (unit) assert.ok(entry.includes(`unit: ${unit}`), entry);
    if (placeholder !== null) assert.ok(entry.includes("default: "), entry);
  }
});

Deno.test("any SPMD program runs on N ranks, with its own arguments and exit code", async () => {
  await using folder = await temporaryFolder();
  const program = `${folder.path}/program.ts`;
  await Deno.writeTextFile(
    program,
    `import { init } from "${new URL("mod.ts", ROOT)}";
await using comm = await init();
const sum = Int32Array.of(comm.rank + 1);
await comm.allreduce(sum);
console.log(\`sum \${sum[0]} args \${Deno.args.join(",")} word \${Deno.env.get("WORD")}\`);
if (Deno.args.includes("--fail") && comm.rank === 2) Deno.exit(7);
`,
  );
  const args = ["launch", "--ranks", "3", "--env", "WORD=a=b", program, "--"];
  const good = await celgc(...args, "--lr", "x");
  assert.equal(good.code, 0, good.stderr);
  assert.deepEqual(
    good.stdout.trim().split("\n").sort(),
    [0, 1, 2].map((rank) => `[${rank}] sum 6 args --lr,x word a=b`),
  );
  const bad = await celgc(...args, "--fail");
  assert.equal(bad.code, 7);
  assert.match(bad.stderr, /celgc: rank 2 .*exit code 7/);
});

Deno.test("a lacking permission is told by the option that gives it", () => {
  const hint = (what: string) => permissionHint([`NotCapable: Requires ${what} flag`]);
  assert.equal(
    hint('net access to "a.org:443", run again with the --allow-net'),
    "--allow net=a.org:443",
  );
  assert.equal(
    hint('write access to "runs/mine/config.json.part", run again with the --allow-write'),
    "--allow write=runs/mine",
  );
  assert.equal(hint("ffi access, run again with the --allow-ffi"), "--allow ffi");
  assert.equal(hint('env access to "HOME", run again with the --allow-env'), "--allow env=HOME");
  assert.equal(permissionHint(["Error: no"]), null);
});
