/** What the end of a run adds to it, and what of that a run that goes on has not had. */

import assert from "node:assert/strict";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import type { Options } from "../../../tasks/options/table.ts";
import { newConfig } from "../../../tasks/run/folder.ts";
import { clusterModel, clusters } from "../../_helpers/clusters.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { run, trainInProcess } from "../../_helpers/train_in_process.ts";

const COMMON: Partial<Options> = {
  ...{ ranks: 3, batchSize: 4, lr: 0.3, clip: 0.2, epochs: 1000, evalEvery: 1000 },
  device: "cpu",
  link: "0us",
};

Deno.test("the bound of the last mean holds where as many ranks as there are take part", async () => {
  const given = { ...COMMON, interval: 4, maxSteps: 6 };
  for (const [participants, bound] of [[null, 2 * 0.2 * 4], [3, 2 * 0.2 * 4], [2, null]] as const) {
    const { records } = await run({ ...given, participants });
    const last = records.findLast(({ type }) => type === "round");
    assert.ok(last?.type === "round" && last.final);
    assert.equal(last.driftBound, bound, `of ${participants} participants`);
  }
});

/** What goes on from round to round, in every form that it has. */
const CARRYING: Partial<Options>[] = [
  { interval: 4 },
  { interval: 4, overlap: true },
  { interval: 3, participants: 2 },
  { interval: "1..3:1,5", fragments: 2 },
  { interval: "qsr:base=2,alpha=0.6", algorithm: "slowmo" },
  { interval: 5, fragments: 3, overlap: true, algorithm: "slowmo", outerMomentum: 0.3 },
  { interval: 4, fragments: 4, overlap: true, delay: 2, mix: 0.5, algorithm: "diloco" },
];

Deno.test("a run that goes on past its end has had none of its end's rounds, bytes and drifts", async () => {
  for (const more of CARRYING) {
    await using folder = await temporaryFolder();
    const directory = folder.path, checkpoints = `${directory}/checkpoints`;
    const train = (maxSteps: number, from: number | null) =>
      trainInProcess({ ...COMMON, ...more, maxSteps, checkpointEvery: 7 }, (comm, options) => ({
        model: clusterModel(12),
        task: clusters(options, comm.rank),
        output: { directory, config: newConfig(options) },
        checkpoints: { directory: checkpoints, from },
      }));
    const summaries = [];
    for (const [steps, from] of [[7, null], [14, 7], [14, null]] as const) {
      const { summary } = await train(steps, from);
      summaries.push(summary);
    }
    const [short, resumed, whole] = summaries;
    assert.ok(short.totalBytesSent > 0 && short.rounds > 0);
    for (
      const same of ["weightsHash", "totalBytesSent", "rounds", "maxDrift", "driftBound"] as const
    ) {
      assert.equal(resumed[same], whole[same], `${same} with ${JSON.stringify(more)}`);
    }
    assert.ok(readMetrics(`${directory}/metrics.jsonl`).length > 0);
  }
});
