/**
 * A text as a task: the next word is predicted from those before it, by a model that carries its state
 * from window to window.
 *
 * @module
 */

import type { AwdLstm } from "../../models/mod.ts";
import type { DeviceKind } from "../../runtime/devices/device.ts";
import { parsePartition } from "../data/sampling/partition.ts";
import type { Worlds } from "../data/sampling/worlds.ts";
import { evaluationWindows } from "../data/text/text_evaluation.ts";
import { firstTokens, type Tokens, type TokenSplits } from "../data/text/tokens.ts";
import { createTextSampler, type TextSampler } from "../data/text/text_sampler.ts";
import type { Options } from "../options/table.ts";
import type { Split, Task } from "../task.ts";

/** Columns in which the validation text is evaluated, as in the reference code. */
const VALIDATION_COLUMNS = 10;

/** The options of a run that a text needs. */
export type AwdLstmTaskOptions = Pick<
  Options,
  "batchSize" | "ranks" | "seed" | "partition" | "bptt" | "testColumns" | "evalTokens"
>;

/**
 * Language modelling on a text.
 *
 * A step's window has a random length; η and γ of the step are scaled by it. The validation text is
 * evaluated in 10 columns, the test text in `testColumns`; the ranks share the columns, and since the
 * state that is carried belongs to a column, that changes no loss. Before training a window of each is
 * enough: an untrained model knows nothing anywhere.
 *
 * @param model makes the feeds
 * @param target where the graphs will run
 * @param worlds that the run has had; by default the one of the options alone
 */
export function awdLstmTask(
  { train, valid, test }: TokenSplits,
  model: AwdLstm,
  options: AwdLstmTaskOptions,
  rank: number,
  target: DeviceKind,
  worlds?: Worlds,
): Task {
  const { batchSize, ranks, seed, partition, bptt, testColumns, evalTokens } = options;
  const sampler = createTextSampler({
    tokens: train,
    batchSize,
    rank,
    ranks,
    seed,
    bptt,
    partition: parsePartition(partition),
    worlds,
  });
  const split = (name: "valid" | "test", tokens: Tokens, columns: number): Split => {
    // As many predictions need one token more.
    const text = firstTokens(tokens, evalTokens === null ? tokens.length : evalTokens + 1);
    const predictions = text.length - 1, most = Math.min(columns, predictions);
    const first = Math.floor(rank * most / ranks), last = Math.floor((rank + 1) * most / ranks);
    const batchSize = Math.max(1, last - first);
    return {
      name,
      samples: predictions,
      batchSize,
      length: bptt,
      *batches() {
        if (first === last) return;
        let restart = true;
        const take = [first, last] as const;
        for (const window of evaluationWindows(text, { columns: most, length: bptt, take })) {
          const { mask } = window;
          yield model.feeds.evaluation(window, { batchSize, length: bptt, restart, mask });
          restart = false;
        }
      },
    };
  };
  const watched = split("valid", valid, VALIDATION_COLUMNS);
  const glance = firstTokens(valid, VALIDATION_COLUMNS * bptt + 1);
  return {
    trainSamples: train.length,
    stepsPerEpoch: sampler.stepsPerEpoch,
    steps: (epochs) => stepsOf(sampler, epochs),
    epoch: (steps) => sampler.epoch(steps),
    batch(t) {
      const window = sampler.window(t - 1), { length: steps, drawnLength, restart } = window;
      const length = target === "webgpu" ? model.bucket(target, steps) : steps;
      return {
        feeds: model.feeds.training(window, { batchSize, length, restart }),
        length,
        scale: drawnLength / bptt,
        samples: steps * batchSize,
      };
    },
    splits: [watched, split("test", test, testColumns)],
    untrained: split("valid", glance, VALIDATION_COLUMNS),
    perplexity: true,
  };
}

/** Steps that make so many epochs, the last of which may be a part. */
function stepsOf({ firstStep, begins }: TextSampler, epochs: number): number {
  if (epochs <= begins.epoch) return begins.step;
  const whole = Math.floor(epochs), start = Math.max(whole, begins.epoch);
  const first = start === whole ? firstStep(whole) : begins.step;
  return epochs === start
    ? first
    : first + Math.ceil((epochs - start) / (whole + 1 - start) * (firstStep(whole + 1) - first));
}
