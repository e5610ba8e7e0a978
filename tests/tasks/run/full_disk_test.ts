/** What becomes of a run when the disk is full. */

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { RankOutput } from "../../../runtime/ranks/output.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import { MetricsLog } from "../../../tasks/run/metrics.ts";
import { WriteError } from "../../../tasks/run/write_error.ts";
import { celgc } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { knownLines, writeRun } from "../run_folder.ts";

const KNOWN = { interval: 2, scale: 10, stepMs: 50, syncMs: 10, drift: 0.1, driftBound: 4 };

const FULL = "/dev/full", ignore = Deno.build.os !== "linux";

Deno.test({
  name: "metrics that cannot be written name their file and the cause",
  ignore,
  fn() {
    using log = new MetricsLog(FULL, { append: true });
    const write = () =>
      log.write({ type: "step" } as unknown as Parameters<MetricsLog["write"]>[0]);
    assert.throws(write, (error) => {
      assert.ok(error instanceof WriteError);
      assert.match(error.message, /^cannot write \/dev\/full: No space left .*: make room/);
      return true;
    });
  },
});

Deno.test({
  name: "a rank's log file that is full is said once, and what the rank prints is shown on",
  ignore,
  async fn() {
    const lines: string[] = [], empty = Readable.from([]);
    const output = new RankOutput(Readable.from([new TextEncoder().encode("a\nb\nc\n")]), empty, {
      rank: 0,
      log: await Deno.open(FULL, { write: true }),
      line: (text) => void lines.push(text),
    });
    await output.drain(5000);
    const [first, said, ...rest] = lines;
    assert.match(said, /^its log file ends here: No space left on device/);
    assert.deepEqual([first, ...rest], ["a", "b", "c"]);
  },
});

/** Runs something on a disk of so many KiB; says so and does nothing where none can be mounted. */
async function onDisk(path: string, size: number, body: () => Promise<void>): Promise<void> {
  const run = (command: string, ...args: string[]) =>
    new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output()
      .catch(() => ({ success: false }));
  const { success } = await run("mount", "-t", "tmpfs", "-o", `size=${size}k`, "tmpfs", path);
  if (!success) return console.warn("a small disk cannot be mounted here: the test is skipped");
  try {
    await body();
  } finally {
    await run("umount", "-l", path);
  }
}

const SMALL = "--ranks 2 --device cpu --train-size 100 --test-size 10 --max-steps 4 --interval 2";

for (
  const [what, options, file] of [
    [
      "a checkpoint",
      "--checkpoint-every 2",
      /cannot write \S+\/rank-\d\.safetensors: No space left/,
    ],
    ["the trained model", "", /cannot write \S+\/model\.safetensors: No space left/],
  ] as const
) {
  Deno.test({
    name:
      `a disk that is full at ${what}: the message names the file, what is written stays readable`,
    ignore,
    async fn() {
      await using folder = await temporaryFolder();
      await onDisk(folder.path, 250, async () => {
        const out = `${folder.path}/run`, args = [...SMALL.split(" "), ...options.split(" ")];
        const given = args.filter((arg) => arg !== "");
        const { code, stderr } = await celgc("launch", ...given, "--out", out);
        assert.notEqual(code, 0);
        assert.match(stderr, file);
        assert.doesNotMatch(stderr, /at file:|Uncaught/);
        assert.ok(readMetrics(`${out}/metrics.jsonl`).length > 0);
        const files = [...Deno.readDirSync(out)].map(({ name }) => name);
        assert.ok(!files.includes("model.safetensors") && files.includes("config.json"));
      });
    },
  });
}

Deno.test({
  name: "what a command was to write and could not leaves nothing, and a device where it is",
  ignore,
  async fn() {
    await using folder = await temporaryFolder(), run = await temporaryFolder();
    const directory = await writeRun(run.path, "run", {}, knownLines(KNOWN));
    await onDisk(folder.path, 40, async () => {
      const at = (name: string) => `${folder.path}/${name}`;
      await Deno.writeFile(at("pad"), new Uint8Array(20_000));
      const commands = [
        ["report", directory, "--out", at("page.html")],
        ["export", "--model", "resnet20", "--out", at("state.safetensors")],
      ];
      for (const command of commands) {
        const { code, stderr } = await celgc(...command);
        assert.notEqual(code, 0);
        assert.match(stderr, /No space left on device/);
      }
      assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["pad"]);
    });
    const { stderr } = await celgc("export", "--model", "resnet8", "--out", FULL);
    assert.match(stderr, /No space left on device/);
    assert.ok((await Deno.stat(FULL)).isCharDevice);
  },
});
