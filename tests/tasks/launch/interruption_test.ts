import assert from "node:assert/strict";
import { launch } from "../../../tasks/launch/launch.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import { celgcCommand, endedAs } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const SIZES = { interval: 2, trainSize: 96, testSize: 12, batchSize: 4, device: "cpu" } as const;
const FLAGS = "--interval 2 --train-size 96 --test-size 12 --batch-size 4 --device cpu".split(" ");
// No end in sight, so that Ctrl-C finds it at work however busy the machine is.
const ENDLESS = "--max-steps 10000000 --epochs 100000000 --eval-every 100000000".split(" ");

for (const ranks of [1, 2]) {
  Deno.test({
    name: `Ctrl-C on a run of ${ranks} writes a checkpoint and says how to go on`,
    ignore: Deno.build.os === "windows",
    async fn() {
      await using folder = await temporaryFolder();
      const out = `${folder.path}/run`, log = `${out}/metrics.jsonl`;
      const child = celgcCommand(
        "launch",
        "--ranks",
        `${ranks}`,
        ...FLAGS,
        ...ENDLESS,
        "--out",
        out,
      )
        .spawn();
      const ended = child.output();
      let running = true;
      ended.then(() => running = false);
      while (running && readMetrics(log).length < 8) {
        await new Promise((wake) => setTimeout(wake, 20));
      }
      if (running) child.kill("SIGINT");
      const { code, stderr } = endedAs(await ended);
      assert.equal(code, 130, stderr);
      const said = /ended by SIGINT after step (\d+), with a checkpoint; --resume (\S+) goes on/
        .exec(stderr);
      assert.ok(said, stderr);
      assert.equal(said[2], out);
      const maxSteps = Number(said[1]) + 3;
      const { summary } = await launch({ resume: out, maxSteps, epochs: 1000 });
      const steps = readMetrics(log)
        .filter((record) => record.type === "step" && record.rank === ranks - 1)
        .map(({ step }) => step);
      assert.deepEqual(steps, Array.from({ length: maxSteps }, (_, i) => i + 1), "each step once");
      const whole = { ...SIZES, ranks, maxSteps, epochs: 1000, evalEvery: 1000 };
      const undisturbed = await launch({ ...whole, out: `${folder.path}/other` });
      assert.equal(summary.weightsHash, undisturbed.summary.weightsHash);
    },
  });
}
