import assert from "node:assert/strict";
import { worldCommunicator } from "../../../runtime/communicator.ts";
import { parseLink } from "../../../runtime/transport/access_link.ts";
import type { Options } from "../../../tasks/options/table.ts";
import { measure } from "../../../tasks/plan/measure.ts";
import type { Measured, MeasuredPart } from "../../../tasks/plan/measured.ts";
import { predict } from "../../../tasks/plan/predict.ts";
import { algorithmOf, resolveOptions } from "../../../tasks/options/resolve.ts";
import { clusterModel, clusters } from "../../_helpers/clusters.ts";
import { run } from "../../_helpers/train_in_process.ts";
import { connect } from "../../_helpers/mesh.ts";
import { celgc, type Ended } from "../../_helpers/deno.ts";

const HIDDEN = 330, LINK = "4mbit,10ms";
const OPTIONS: Partial<Options> = { ranks: 4, batchSize: 2, seed: 3, device: "cpu" };

const TINY = "--device cpu --batch-size 4 --train-size 40 --test-size 20";

/** A plan takes some seconds, whatever it is of: those of all tests are made at once, when the first is asked for. */
const plans = {
  slow: "--ranks 2 --epochs 8 --interval 3 --link 8mbit,50ms --tolerance 10%",
  overlapped: "--ranks 2 --epochs 1 --interval 1 --overlap --clip-by max",
  episode: "--ranks 2 --epochs 1 --interval 1 --algorithm episode",
  late: "--ranks 2 --epochs 8 --interval 1..8:4,6 --overlap --delay 3 --mix 0.5 --fragments 2" +
    " --link 20mbit,40ms",
  hosts: "--ranks 4 --epochs 8 --hosts 2",
};
let made: Record<keyof typeof plans, Promise<Ended>> | undefined;

// deno-lint-ignore no-explicit-any -- what a plan prints is the tests' to say
async function planned(name: keyof typeof plans): Promise<any> {
  const entries = () =>
    Object.entries(plans).map(([name, args]) =>
      [name, celgc("plan", ...`${TINY} ${args} --json`.split(" "))] as const
    );
  made ??= Object.fromEntries(entries()) as NonNullable<typeof made>;
  const { code, stdout, stderr } = await made[name];
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^measuring some steps of \S+ on \S+ with 2 ranks$/m);
  return JSON.parse(stdout);
}

/** A test of one of them, which others may still be waiting for. */
function planTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });
}

const sizeOf = ({ trained, statistics }: MeasuredPart) => trained + statistics;

/** The planner's measurements of a small network, on ranks in this process. */
async function measureOn(link: string): Promise<Measured> {
  const options = resolveOptions(OPTIONS);
  await using mesh = await connect(4, { link: parseLink(link) });
  const ranks = mesh.transports.map((transport) => worldCommunicator(transport));
  const all = await Promise.all(
    ranks.map((comm) =>
      measure(comm, { options, algorithms: ["celgc", "naive-parallel"], intervals: [1] }, {
        model: clusterModel(HIDDEN),
        task: clusters(options, comm.rank),
      })
    ),
  );
  for (const other of all) assert.deepEqual(other, all[0]);
  return all[0];
}

Deno.test("a plan for a slow link counts what a run sends, and no time is less than the link's", async () => {
  const { delayMs, bitsPerSecond } = parseLink(LINK);
  const network = { latencySeconds: delayMs / 1000, bytesPerSecond: bitsPerSecond / 8 };
  // So many allreduces each, the one at the end included; the steps take next to nothing.
  const cases = [
    { given: { interval: 1, maxSteps: 8 }, allreduces: 8 },
    { given: { algorithm: "naive-parallel", maxSteps: 4 }, allreduces: 8 },
    { given: { interval: 3, maxSteps: 4 }, allreduces: 2 },
    { given: { interval: 2, overlap: true, maxSteps: 4 }, allreduces: 2 },
    { given: { interval: 2, overlap: true, maxSteps: 3 }, allreduces: 2 },
  ] as const;
  // Most of the time is the link's, and no time may be too long: all at once.
  const [free, shaped, ...ran] = await Promise.all([
    measureOn("0us"),
    measureOn(LINK),
    ...cases.map(({ given }) => run({ ...OPTIONS, ...given, link: LINK }, HIDDEN)),
  ]);
  assert.equal(free.parameters, 20 * HIDDEN + HIDDEN + 10 * HIDDEN + 10);
  // What was measured behind the link is not better than the link, however busy the machine is.
  const least = 1.5 * 4 * shaped.shared / network.bytesPerSecond;
  assert.ok(shaped.network!.latencySeconds >= network.latencySeconds);
  assert.ok(shaped.allreduce.at(-1)!.seconds >= least);
  for (const [i, { given, allreduces }] of cases.entries()) {
    const options = { ...OPTIONS, ...given, link: LINK };
    const { summary: { trainSeconds, totalBytesSent, rounds } } = ran[i];
    assert.ok(trainSeconds >= allreduces * least);
    const algorithm = algorithmOf(resolveOptions(options));
    for (const [measured, on] of [[free, network], [shaped, null]] as const) {
      const predicted = predict(measured, algorithm, given.maxSteps, { network: on });
      assert.deepEqual([predicted.bytesSent, predicted.rounds], [totalBytesSent, rounds]);
      assert.ok(predicted.seconds >= allreduces * least);
    }
  }
});

planTest("plan prints what runs would take, in the order of their intervals", async () => {
  const { steps, epochs, link, runs, measured, settings, advice } = await planned("slow");
  assert.deepEqual([steps, epochs, link, measured.ranks], [40, 8, "8mbit,50ms", 2]);
  assert.deepEqual(
    runs.map((each: { algorithm: string; interval: number }) => [each.algorithm, each.interval]),
    [["naive-parallel", null], ...[1, 2, 3, 4, 8, 16, 32].map((interval) => ["celgc", interval])],
  );
  const [baseline, every] = runs;
  assert.ok(baseline.seconds > 40 * 2 * 0.2, `${baseline.seconds} s`); // four delays each
  assert.ok(every.bytesSent < baseline.bytesSent);
  assert.ok(every.communicationShare > 0 && every.communicationShare < 1);
  // Seven intervals, each with four compressions in one, two and four parts of the network.
  assert.equal(settings.length, 7 * 4 * 3);
  type Setting = {
    seconds: number;
    meanInterval: number;
    peakBytesSent: number;
    fragments: number;
  };
  const all: Setting[] = settings, fastest = Math.min(...all.map(({ seconds }) => seconds));
  const within = all.filter(({ seconds }) => seconds <= 1.1 * fastest);
  assert.deepEqual([advice.tolerance, advice.fastest.seconds], [0.1, fastest]);
  assert.ok(within.every(({ meanInterval }) => meanInterval >= advice.cheapest.meanInterval));
  const [whole, half] = settings.filter(({ interval }: { interval: number }) => interval === 2);
  assert.deepEqual([whole.fragments, half.fragments], [1, 2]);
  const { 2: parts } = measured.parts, largest = Math.max(...parts.map(sizeOf));
  assert.equal(parts.map(sizeOf).reduce((a: number, b: number) => a + b), measured.shared);
  assert.deepEqual([whole.peakBytesSent, half.peakBytesSent], [4 * measured.shared, 4 * largest]);
});

planTest(
  "a plan knows the steps of every interval it predicts, and of both algorithms",
  async () => {
    for (const name of ["overlapped", "episode"] as const) {
      const { runs, settings, advice } = await planned(name);
      assert.deepEqual(
        runs.map((
          { interval, rounds }: { interval: number; rounds: number },
        ) => [interval, rounds]),
        [[null, 5], [1, 5], [2, 3], [4, 2], [8, 1], [16, 1], [32, 1]],
      );
      // What has no round within the run's 5 steps is not advised.
      const compared = new Set(settings.map(({ interval }: { interval: number }) => interval));
      assert.deepEqual([...compared], [1, 2, 4]);
      assert.ok(advice.fastest.interval <= 4 && advice.cheapest.interval <= 4);
      // The baseline and every step's rounds move the same weights; the baseline and EPISODE gradients too.
      const [baseline, every] = runs;
      assert.ok(every.bytesSent > baseline.bytesSent / 3 && every.seconds > 0);
    }
  },
);

planTest("a plan of averages that come late has the intervals that are long enough", async () => {
  const { runs, settings } = await planned("late");
  const intervals = [4, 8, 16, 32, "1..8:4,6"];
  assert.deepEqual(runs.map((run: { interval: unknown }) => run.interval), [null, ...intervals]);
  assert.equal(settings.length, intervals.length * 4);
  assert.ok(runs.slice(1).every((run: { hiddenSeconds: number }) => run.hiddenSeconds > 0));
});

Deno.test("what only the ranks can find wrong is said in one line", async () => {
  const options =
    "--ranks 1 --device cpu --task generated-text --train-size 1000 --test-size 500 --batch-size 600";
  const { code, stderr } = await celgc("plan", ...options.split(" "));
  assert.equal(code, 1);
  assert.match(stderr, /cannot read 1000 tokens in 600 columns: each needs 3 tokens at least/);
  assert.doesNotMatch(stderr, /Error: |\bat file:/);
});

Deno.test("what a plan has no use for is refused", async () => {
  const refusals = [
    [["--algorithm", "single"], /--algorithm single exchanges nothing/],
    [["--shaped"], /--shaped measures behind a --link: give one/],
    [["--tolerance", "-1"], /--tolerance must be a number from 0, not -1/],
    [["--tolerance", "much"], /--tolerance must be a number from 0, not "much"/],
    [["--out", "there"], /unknown option '--out'/],
    [["--trace"], /unknown option '--trace'/],
  ] as const;
  await Promise.all(refusals.map(async ([options, message]) => {
    const { code, stdout, stderr } = await celgc("plan", ...options);
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, message);
  }));
});

planTest("plan for a number of hosts measures one of them, and says what it is for", async () => {
  const { ranks, hosts, link, steps, measured, runs } = await planned("hosts");
  assert.deepEqual([ranks, hosts, link, steps, measured.ranks], [4, 2, "10gbit,50us", 20, 2]);
  // Two hosts send n bytes each for an allreduce, half of it as exact partial sums, which are longer. A step
  // of naive-parallel has two, a round one.
  const { parameters, shared } = measured;
  const sent = [parameters + shared, shared].map((floats) => steps * 8 * floats);
  for (const [i, { bytesSent }] of runs.slice(0, 2).entries()) {
    const ratio = bytesSent / sent[i];
    assert.ok(ratio >= 1 && ratio < 1.1, `${ratio}`);
  }
});

Deno.test("hosts that a plan cannot be for are refused", async () => {
  const refusals = [
    [["--hosts", "3"], /--hosts must divide --ranks, 4, into equal parts for a plan, found 3/],
    [
      ["--hosts", "2", "--shaped", "--link", "1gbit"],
      /--hosts 2 is for hosts that are not there/,
    ],
    [
      ["--hosts", "localhost:2,b:2", "--link", "1gbit"],
      /--link is calculated for hosts that are not there/,
    ],
  ] as const;
  await Promise.all(refusals.map(async ([args, message]) => {
    const refused = await celgc("plan", "--ranks", "4", ...args, ...TINY.split(" "));
    assert.deepEqual([refused.code, refused.stdout], [2, ""]);
    assert.match(refused.stderr, message);
  }));
});
