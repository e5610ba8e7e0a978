import assert from "node:assert/strict";
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
      /^communication .*of the time.*1 rounds.*sent/m,
      /^clipped .*of the steps/m,
      /^drift .*never above 2γI/m,
      /^weights .*identical, bit for bit, on all 2 ranks/m,
      /^files /m,
    ]
  ) assert.match(ended.stdout, line);
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
  [["launch", "--preset", "cifar"], /--preset must be one of cifar10-resnet56/],
  [["launch", "--algorithm", "single", "--ranks", "4"], /one rank/],
  [["launch", "--task", "cifar10", "--data", "/dev/null/folder"], /--data .*\/dev\/null\/folder/],
  [["launch", "--out", "deno.json"], /--out deno\.json cannot be made: .*exists/],
  [
    ["export", "--out", "no/such/folder/f.onnx"],
    /--out no\/such\/folder\/f\.onnx cannot be written/,
  ],
  [["launch", "--cwd", "/dev/null/folder", "mod.ts"], /no directory \/dev\/null\/folder/],
  [["launch", "--allow", "everything", "mod.ts"], /--allow: a permission is .*"everything"/],
  [["launch", "--transport", "pigeon", "mod.ts"], /--transport must be one of auto, tcp, unix/],
  [["launch", "--listen", "192.0.2.1", "mod.ts"], /cannot listen on 192\.0\.2\.1: /],
  [
    ["launch", ..."--tls-cert no.pem --tls-key no.pem --tls-ca no.pem mod.ts".split(" ")],
    /no file no\.pem/,
  ],
  [["launch", "no_such_program.ts"], /no program no_such_program\.ts/],
  [["launch", "--lr", "1", "program.ts"], /--lr is for training .* program\.ts/],
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

Deno.test("what is wrong with the data is said once, whoever finds it", async () => {
  await using folder = await temporaryFolder();
  const { path } = folder, record = new Uint8Array(3073);
  for (let batch = 1; batch <= 5; batch++) {
    await Deno.writeFile(`${path}/data_batch_${batch}.bin`, record);
  }
  await Deno.writeFile(`${path}/test_batch.bin`, record.subarray(73));
  const args = ["launch", "--ranks", "3", "--device", "cpu", "--task", "cifar10", "--data", path];
  const loud = await celgc(...args, "--out", `${path}/a`);
  assert.equal(loud.code, 1);
  assert.equal(
    loud.stderr.match(/cannot read CIFAR-10: .*test_batch\.bin/g)?.length,
    1,
    loud.stderr,
  );
  const quiet = await celgc(...args, "--quiet", "--out", `${path}/b`);
  assert.equal(quiet.code, 1);
  assert.equal(quiet.stderr.match(/cannot read CIFAR-10: /g)?.length, 1, quiet.stderr);
});

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
});

Deno.test("--help shows every option with its default and unit", async () => {
  const { code, stdout } = await celgc("launch", "--help");
  assert.equal(code, 0);
  const text = stdout.replace(/\s+/g, " ");
  for (const { flag, unit, placeholder } of Object.values(OPTIONS)) {
    const at = text.indexOf(`${flag} `);
    assert.ok(at >= 0, `${flag} is missing`);
    const entry = text.slice(at).split(/ --[a-z]/)[0];
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
