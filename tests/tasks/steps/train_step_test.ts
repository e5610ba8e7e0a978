import assert from "node:assert/strict";
import { celgc } from "../../../optimizers/mod.ts";
import { PLAIN_STEP } from "../../../optimizers/clipped_step.ts";
import { sgd } from "../../../optimizers/update_rules/sgd.ts";
import { worldCommunicator } from "../../../runtime/communicator.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { SingleTransport } from "../../../runtime/transport/single_transport.ts";
import { WeightAveraging } from "../../../tasks/rounds/averaging.ts";
import { TrainStep } from "../../../tasks/steps/train_step.ts";
import { mlp, mlpTask } from "../_mlp.ts";

for (const every of [1, 3]) {
  const when = every === 1 ? "each step" : `each ${every} steps`;
  Deno.test(`weights are averaged over ${when} from where that begins, and from nowhere before`, () =>
    averages(every));
}

/** Steps of which each `every`th enters the average. */
async function averages(every: number): Promise<void> {
  await using device = await openDevice("cpu");
  const comm = worldCommunicator(new SingleTransport("localhost"));
  const task = mlpTask(0, 1, 4), size = { learningRate: 0.8, clipThreshold: 0.3 };
  const step = { ...PLAIN_STEP, rule: sgd({ weightDecay: 0.01 }) };
  for (const way of ["none", "replace"] as const) {
    await using trainStep = await TrainStep.open({
      device,
      model: mlp,
      batchSize: 4,
      algorithm: celgc({ interval: 1, average: "after", step }),
      gradients: new Set([way]),
      averaging: new WeightAveraging(comm),
      seed: 4,
      rank: 0,
    });
    const seen: Float32Array[] = [];
    for (let t = 1; t <= 9; t++) {
      if (t === 4) await trainStep.startAveraging();
      const averaged = t % every === 0;
      const { result } = await trainStep.submit(t, task.batch(t), size, way, { averaged });
      assert.ok(Number.isFinite((await result()).loss));
      if (t >= 4 && averaged) seen.push(await trainStep.weights.read());
    }
    assert.equal(trainStep.averages!.steps, every === 1 ? 6 : 2);
    const averages = await trainStep.averages!.state.read();
    assert.equal(averages.length, trainStep.parameterCount);
    averages.forEach((average, i) => {
      const mean = seen.reduce((sum, weights) => sum + weights[i], 0) / seen.length;
      assert.ok(Math.abs(average - mean) < 1e-6, `${average} instead of ${mean}`);
    });
    assert.ok(averages.some((average, i) => Math.abs(average - seen.at(-1)![i]) > 1e-3));
  }
}
