import assert from "node:assert/strict";
import { Communicator } from "../../../runtime/communicator.ts";
import { parseLink } from "../../../runtime/link.ts";
import type { Options } from "../../../tasks/options.ts";
import { measure } from "../../../tasks/plan/measure.ts";
import type { Measured } from "../../../tasks/plan/measured.ts";
import { predict } from "../../../tasks/plan/predict.ts";
import { algorithmOf, resolveOptions } from "../../../tasks/resolve.ts";
import { clusters, perceptron } from "../../claims/_clusters.ts";
import { run } from "../../claims/_run.ts";
import { connect } from "../../runtime/_mesh.ts";
import { celgc } from "../_deno.ts";

const HIDDEN = 330, LINK = "2mbit,10ms";
const OPTIONS: Partial<Options> = { ranks: 4, batchSize: 2, seed: 3, device: "cpu" };

/** The planner's measurements of a small network, on ranks in this process. */
async function measureOn(link: string): Promise<Measured> {
  const options = resolveOptions(OPTIONS);
  await using mesh = await connect(4, { link: parseLink(link) });
  const ranks = mesh.transports.map((transport) => new Communicator(transport));
  const all = await Promise.all(
    ranks.map((comm) =>
      measure(comm, { options, algorithms: ["celgc", "naive-parallel"] }, {
        model: perceptron(HIDDEN),
        task: clusters(options, comm.rank),
      })
    ),
  );
  for (const other of all) assert.deepEqual(other, all[0]);
  return all[0];
}

Deno.test("a prediction for a slow link holds on that link, to a quarter and half a second", async () => {
  const free = await measureOn("0us"), shaped = await measureOn(LINK);
  assert.equal(free.parameters, 20 * HIDDEN + HIDDEN + 10 * HIDDEN + 10);
  const { delayMs, bitsPerSecond } = parseLink(LINK);
  const network = { latencySeconds: delayMs / 1000, bytesPerSecond: bitsPerSecond / 8 };
  // What was measured behind the link is not better than the link.
  assert.ok(shaped.network!.latencySeconds >= network.latencySeconds);
  assert.ok(shaped.allreduce.at(-1)!.seconds >= 1.5 * 4 * shaped.shared / network.bytesPerSecond);
  // Two seconds, and four, of which the steps take next to nothing.
  const steps = 6;
  for (
    const given of [{ interval: 1 }, { algorithm: "naive-parallel" }] as const
  ) {
    const options = { ...OPTIONS, ...given, link: LINK, maxSteps: steps };
    const { summary } = await run(options, HIDDEN);
    const algorithm = algorithmOf(resolveOptions(options));
    for (const [measured, on] of [[free, network], [shaped, null]] as const) {
      const predicted = predict(measured, algorithm, steps, on);
      const { seconds, communicationShare } = predicted;
      const what = `${JSON.stringify(given)}: ${seconds} s, ${communicationShare}; ` +
        `${summary.trainSeconds} s, ${summary.communicationShare}`;
      const margin = 0.25 * summary.trainSeconds + 0.5;
      assert.ok(Math.abs(seconds - summary.trainSeconds) < margin, what);
      assert.ok(Math.abs(communicationShare - summary.communicationShare) < 0.15, what);
      assert.equal(predicted.bytesSent, summary.totalBytesSent);
      assert.equal(predicted.rounds, summary.rounds);
    }
  }
});

Deno.test("plan prints what runs would take, in the order of their intervals", async () => {
  const options =
    "--ranks 2 --device cpu --batch-size 4 --train-size 40 --test-size 20 --epochs 8" +
    " --interval 3 --link 8mbit,50ms --json";
  const { code, stdout, stderr } = await celgc("plan", ...options.split(" "));
  assert.equal(code, 0, stderr);
  const { steps, epochs, link, runs, measured } = JSON.parse(stdout);
  assert.deepEqual([steps, epochs, link, measured.ranks], [40, 8, "8mbit,50ms", 2]);
  assert.deepEqual(
    runs.map((each: { algorithm: string; interval: number }) => [each.algorithm, each.interval]),
    [["naive-parallel", null], ...[1, 2, 3, 4, 8, 16, 32].map((interval) => ["celgc", interval])],
  );
  const [baseline, every] = runs;
  assert.ok(baseline.seconds > 40 * 2 * 0.2, `${baseline.seconds} s`); // four delays each
  assert.ok(every.speedup > 1 && every.communicationShare > 0 && every.communicationShare < 1);
});

Deno.test("what a plan has no use for is refused", async () => {
  for (
    const [options, message] of [
      [["--algorithm", "single"], /--algorithm single exchanges nothing/],
      [["--shaped"], /--shaped measures behind a --link: give one/],
      [["--out", "there"], /unknown option '--out'/],
    ] as const
  ) {
    const { code, stdout, stderr } = await celgc("plan", ...options);
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, message);
  }
});
