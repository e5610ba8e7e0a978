import assert from "node:assert/strict";
import { worldCommunicator } from "../../../../runtime/communicator.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import { train, type Trained, type TrainParts } from "../../../../tasks/training/train.ts";
import { clusterModel, clusters } from "../../../_helpers/clusters.ts";
import { connect } from "../../../_helpers/mesh.ts";
import { trainInProcess } from "../../../_helpers/train_in_process.ts";

const COMMON = { ranks: 3, batchSize: 4, seed: 5, evalEvery: 1000, epochs: 1000 } as const;

/** What ranks in this process train on. */
const parts = (options: Options, rank: number): TrainParts => ({
  model: clusterModel(4),
  task: clusters(options, rank),
});

const sleep = (ms: number) => new Promise<void>((wake) => setTimeout(wake, ms));

/** Runs something, and returns what it wrote to standard error. */
async function heard<T>(body: () => Promise<T>): Promise<[T, string[]]> {
  const lines: string[] = [], before = console.error;
  console.error = (line: string) => lines.push(line);
  try {
    return [await body(), lines];
  } finally {
    console.error = before;
  }
}

/** Trains with one rank whose every step takes `ms` longer. */
function withSlowRank(given: Partial<Options>, ms: number): Promise<[Trained, string[]]> {
  return heard(() =>
    trainInProcess({ ...COMMON, ...given }, (comm, options) => ({
      ...parts(options, comm.rank),
      callbacks: [{ name: "slow", beforeStep: () => sleep(comm.rank === 2 ? ms : 1) }],
    }))
  );
}

for (
  const [given, ms] of [
    [{ algorithm: "celgc", interval: 2, maxSteps: 60 }, 40],
    // Ranks that meet after every step wait for whatever else delays one, on a busy machine by some 10 ms.
    [{ algorithm: "naive-parallel", maxSteps: 40 }, 120],
  ] as const
) {
  const { algorithm, maxSteps: _, ...more } = given;
  Deno.test(`a slow rank is named in the log and the summary: ${algorithm} ${JSON.stringify(more)}`, async () => {
    const [{ summary }, lines] = await withSlowRank(given, ms);
    const { share, stragglers, links } = summary.waiting!;
    assert.deepEqual(stragglers?.map(({ rank }) => rank), [2]);
    assert.ok(stragglers![0].share > 0.8, `${stragglers![0].share} of all waiting`);
    assert.ok(share > 0.3 && share < 0.7, `two of three waited: ${share} of the time`);
    assert.equal(links, undefined);
    const said = lines.filter((line) => line.startsWith("straggler: "));
    assert.match(said[0], /^straggler: rank 2, \d+ % of all waiting; its steps take [\d.]+ × /);
    const again = said.slice(1).filter((line) => line.includes("rank 2"));
    assert.deepEqual(again, [], "once, as long as it is one");
  });
}

Deno.test("of ranks that are drawn for a round those that sit out are not waited for", async () => {
  const given = { interval: 2, participants: 2, maxSteps: 60 };
  const [{ summary }] = await withSlowRank(given, 40);
  assert.deepEqual(summary.waiting!.stragglers?.map(({ rank }) => rank), [2]);
});

Deno.test("ranks that are alike are not named", async () => {
  const [{ summary }, lines] = await withSlowRank({ interval: 2, maxSteps: 60 }, 1);
  assert.equal(summary.waiting?.links, undefined);
  assert.deepEqual(lines.filter((line) => line.startsWith("stalled link: ")), []);
});

// A few weights go by the tree, whose root is rank 0; many go from each rank to each.
for (const [at, from, hidden] of [[0, 2, 4], [1, 2, 1200]]) {
  Deno.test(`a link that stalls for two seconds is named with its share of the waiting: ${from} → ${at}`, async () => {
    const options = resolveOptions({ ...COMMON, device: "cpu", interval: 2, maxSteps: 40 });
    const [{ summary }, lines] = await heard(async () => {
      const hosts = ["a", "b", "c"];
      await using mesh = await connect(3, { hosts });
      // What is sent there arrives, but not for a while.
      const link = mesh.connections[at][from]!, read = link.read.bind(link);
      let until = 0;
      link.read = async (buffer) => {
        const bytes = await read(buffer);
        while (performance.now() < until) await sleep(until - performance.now());
        return bytes;
      };
      const ranks = mesh.transports.map((transport) => worldCommunicator(transport));
      const [first, ...others] = await Promise.all(ranks.map((comm) =>
        train(comm, options, {
          ...parts(options, comm.rank),
          model: clusterModel(hidden),
          callbacks: comm.rank !== at ? [] : [{
            name: "stall",
            beforeRound: ({ round }) => void (round === 5 && (until = performance.now() + 2200)),
          }],
        })
      ));
      for (const { summary } of others) assert.deepEqual(summary.waiting, first.summary.waiting);
      return first;
    });
    const { links, stragglers } = summary.waiting!;
    assert.deepEqual(links?.map(({ ranks }) => ranks), [[at, from]]);
    assert.ok(links![0].seconds >= 1.5 && links![0].seconds < 4, `${links![0].seconds} s`);
    assert.ok(links![0].share > 0.5, `${links![0].share}`);
    assert.equal(stragglers, undefined);
    const said = lines.filter((line) => line.startsWith("stalled link: "));
    assert.equal(said.length, 1);
    assert.match(
      said[0],
      new RegExp(
        `^stalled link: ranks ${at} and ${from}, \\d+ % of all waiting: nothing came for [\\d.]+ s$`,
      ),
    );
  });
}
