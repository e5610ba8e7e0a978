/** Rounds of weights that move at random instead of learning, on devices of any kind. */

import { createAlgorithm } from "../../../../optimizers/registry.ts";
import { Random } from "../../../../runtime/base/random.ts";
import type { Device, DeviceState } from "../../../../runtime/devices/device.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import { WeightAveraging } from "../../../../tasks/rounds/averaging.ts";
import { type EndedRound, Round } from "../../../../tasks/rounds/round.ts";
import { everySteps } from "../../../../tasks/rounds/round_clock.ts";
import type { StateDict } from "../../../../tasks/run/checkpoint.ts";
import { world } from "../../../_helpers/world.ts";

/** Steps of which each may end with a round. */
export const STEPS = 5;
const SEED = 5;

/** Where a rank's weights are, and whether they stay there. */
export interface Place {
  readonly device: Device;
  readonly stays: boolean;
}

/** How many floats there are. */
export interface Size {
  /** Trained ones, more than 1200. @default {2007} */
  readonly length?: number;
  /** Running statistics behind them. @default {0} */
  readonly statistics?: number;
}

/** What a rank's rounds came to. */
export interface RankRounds {
  readonly weights: Float32Array;
  readonly rounds: readonly EndedRound[];
  readonly saved: StateDict;
  readonly bytesSent: number;
  readonly residualSquares: number;
  /** Collective calls of all rounds, whatever they were for. */
  readonly calls: number;
}

/** Rounds of weights that move the same way wherever they are. */
export async function movingRounds(
  places: readonly Place[],
  given: Partial<Options>,
  { length = 2007, statistics = 0 }: Size = {},
): Promise<RankRounds[]> {
  const common = { interval: 1, compress: "int8", seed: SEED, ranks: places.length };
  const options = resolveOptions({ ...common, device: "cpu", ...given });
  const algorithm = createAlgorithm(options.algorithm, options);
  await using mesh = await world(places.length);
  return await Promise.all(mesh.ranks.map(async (comm) => {
    const { device, stays } = places[comm.rank], random = new Random(SEED + comm.rank);
    await using weights = await device.allocate([
      { name: "a.weight", dims: [40, 30] },
      { name: "b.weight", dims: [length - 1200] },
      ...statistics > 0 ? [{ name: "b.running_mean", dims: [statistics] }] : [],
    ]);
    const all = new Random(SEED);
    await weights.write(new Float32Array(weights.length).map(() => all.normal()));
    const follow: DeviceState["follow"] = stays ? (...what) => weights.follow(...what) : () => null;
    const { specs } = weights;
    const state: DeviceState = {
      ...{ specs, length: weights.length, follow },
      range: (name) => weights.range(name),
      read: (...what) => weights.read(...what),
      write: (...what) => weights.write(...what),
      edit: (change) => weights.edit(change),
      prefetch: () => weights.prefetch(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    const averaging = new WeightAveraging(comm, options.compress);
    const clock = everySteps(algorithm, STEPS, () => false);
    const round = new Round({
      ...{ comm, algorithm, clock, averaging, options },
      weights: state,
      parameterCount: length,
    });
    await round.start();
    const ended: EndedRound[] = [];
    for (let t = 1; t <= STEPS; t++) {
      await weights.edit((flat) => flat.forEach((x, i) => flat[i] = x + 0.01 * random.normal()));
      round.notice(1, 4);
      ended.push(...(await round.run(t, { learningRate: 0.1, clipThreshold: 1 })).ended);
    }
    const calls = Object.values(comm.stats()).reduce((sum, { calls }) => sum + calls, 0);
    const saved = await round.save();
    await round.arrive();
    const { bytesSent } = averaging.traffic;
    const residualSquares = averaging.compressed?.residualSquares ?? 0;
    const found = await weights.read();
    return { weights: found, rounds: ended, saved, bytesSent, residualSquares, calls };
  }));
}
