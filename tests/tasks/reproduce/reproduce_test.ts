import assert from "node:assert/strict";
import { join } from "node:path";
import { CIFAR10_RECORD_BYTES } from "../../../tasks/data/images/cifar10.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import { celgc, celgcCommand } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

/** Images of noise in the official layout: enough for a step of 8 ranks. */
async function writeData(folder: string): Promise<void> {
  await Deno.mkdir(join(folder, "cifar10"), { recursive: true });
  for (const [name, count] of [["data_batch_1.bin", 600], ["test_batch.bin", 20]] as const) {
    const bytes = new Uint8Array(count * CIFAR10_RECORD_BYTES);
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 2654435761) >>> 24;
    for (let i = 0; i < count; i++) bytes[i * CIFAR10_RECORD_BYTES] = i % 10;
    await Deno.writeFile(join(folder, "cifar10", name), bytes);
  }
}

/** Runs the command until it has said something, then interrupts it. */
async function interrupted(args: readonly string[], after: string): Promise<Deno.CommandStatus> {
  const child = celgcCommand("reproduce", ...args).spawn();
  const decoder = new TextDecoderStream();
  const reading = child.stderr.pipeThrough(decoder).pipeTo(
    new WritableStream({
      write(text) {
        seen += text;
        if (seen.includes(after) && !asked) {
          asked = true;
          child.kill("SIGINT");
        }
      },
    }),
  );
  let seen = "", asked = false;
  const status = await child.status;
  await child.stdout.cancel();
  await reading;
  assert.ok(asked, seen);
  return status;
}

Deno.test("a figure is made from nothing, after an interruption on from there, and drawn again", async () => {
  await using folder = await temporaryFolder();
  const data = join(folder.path, "data"), out = join(folder.path, "runs");
  await writeData(data);
  const given = ["large-batch", "--data", data, "--out", out, "--scale", "0.1"];
  const { code } = await interrupted(given, "[2/3]");
  assert.equal(code, 130);
  const begun = Deno.readTextFileSync(
    join(out, "batch", "algorithm=naive-parallel", "config.json"),
  );
  const first = await celgc("reproduce", ...given);
  assert.equal(first.code, 0, first.stderr);
  assert.equal(first.stdout.trim(), join(out, "page", "README.md"));

  const cells = [
    "algorithm=naive-parallel",
    "algorithm=celgc_interval=4",
    "algorithm=celgc_interval=16",
  ];
  const started = (cell: string) =>
    JSON.parse(Deno.readTextFileSync(join(out, "batch", cell, "config.json"))).started;
  const before = cells.map(started);
  assert.equal(before[0], JSON.parse(begun).started, "what had finished is not run again");
  const csv = (await Deno.readTextFile(join(out, "page", "large-batch.csv"))).trim().split("\n");
  assert.equal(csv[0], "measure,runs,seeds,epoch,iteration,round,bytes,mean,low,high");
  for (const [cell, label] of [[cells[0], "naive-parallel"], [cells[2], "celgc I=16"]]) {
    const last = readMetrics(join(out, "batch", cell, "metrics.jsonl"))
      .findLast((record) => record.type === "eval" && record.split === "train");
    assert.ok(last?.type === "eval");
    const row = csv.findLast((line) => line.startsWith(`averagedTrainLoss,${label},`))!.split(",");
    assert.ok(Math.abs(Number(row[7]) - last.loss) < 1e-4 * last.loss, `${row}, ${last.loss}`);
    assert.equal(Number(row[4]), last.iteration);
    assert.deepEqual([row[2], row[7], row[7]], ["1", row[8], row[9]]); // of one seed
  }
  const page = await Deno.readTextFile(join(out, "page", "README.md"));
  assert.match(
    page,
    /!\[Large batches: training loss .* and test accuracy over epochs\]\(large-batch\.svg\)/,
  );
  assert.match(
    page,
    /resnet20 of 269,722 weights on CIFAR-10, 600 training and 20 test images; 8 ranks/,
  );
  assert.match(page, /deno task sweep --algorithm naive-parallel,celgc --interval 4,16 /);
  assert.ok(!page.includes(folder.path), "paths of this machine are nobody's business");
  const svg = await Deno.readTextFile(join(out, "page", "large-batch.svg"));
  assert.equal(svg.match(/<path class="line c\d" d="M[\d. L]+"/g)?.length, 6);
  assert.match(svg, /prefers-color-scheme: dark/);
  await assert.rejects(Deno.stat(join(out, "page", "intervals-epochs.svg")), Deno.errors.NotFound);

  const again = await celgc("reproduce", ...given);
  assert.equal(again.code, 0, again.stderr);
  assert.deepEqual(cells.map(started), before);
  await Deno.remove(join(out, "page"), { recursive: true });
  await Deno.remove(join(out, "batch", cells[0]), { recursive: true });
  const drawn = await celgc("reproduce", ...given, "--draw");
  assert.equal(drawn.code, 0, drawn.stderr);
  assert.match(drawn.stderr, /1 of the figures' runs are not finished/);
  assert.match(
    await Deno.readTextFile(join(out, "page", "README.md")),
    /one\s+seed\s+of\s+celgc\s+I=4,\s+celgc\s+I=16;\s+no\s+run\s+yet\s+of\s+naive-parallel/,
  );
});

Deno.test("wrong figures and missing data are refused before anything runs", async () => {
  await using folder = await temporaryFolder();
  const ended = async (...args: string[]) => {
    const { code, stderr } = await celgc("reproduce", ...args, "--out", join(folder.path, "runs"));
    assert.equal(code, 2, stderr);
    return stderr;
  };
  assert.match(await ended("interval"), /no figure "interval": they are intervals, clipping, /);
  assert.match(await ended("driftt"), /no figure "driftt".*\(did you mean drift\?\)/);
  const without = await ended("intervals", "--data", folder.path);
  assert.match(without, /--data must be a folder that holds cifar10\/ .*--download/);
  assert.match(await ended("--scale", "0"), /--scale must be/);
  await assert.rejects(Deno.stat(join(folder.path, "runs")), Deno.errors.NotFound);
});
