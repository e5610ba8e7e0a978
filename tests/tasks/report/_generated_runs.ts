/**
 * Logs like those of real runs, for trying reports at sizes that a test cannot train: smooth laws
 * with noise, deterministic. They are drawn, not learnt, so nothing about training may be concluded
 * from them.
 *
 * @module
 */

import { Random } from "../../../runtime/base/random.ts";
import { MetricsLog } from "../../../tasks/run/metrics.ts";

/** What the run is like. */
export interface GeneratedRun {
  readonly algorithm: "celgc" | "naive-parallel" | "single" | "local-sgd";
  readonly interval: number;
  readonly ranks: number;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  readonly kind: "accuracy" | "perplexity";
  /** Milliseconds of a step without its exchange, and of an exchange. */
  readonly stepMs: number;
  readonly syncMs: number;
  /** @default {1} */
  readonly seed?: number;
  /** A rank that takes half as long again as the others, which wait for it; none by default. */
  readonly slow?: number;
  /** End early, without a summary, after this many steps. */
  readonly stopAt?: number;
}

/** Writes `config.json` and `metrics.jsonl` of such a run into a folder, which is made. */
export async function writeGeneratedRun(directory: string, run: GeneratedRun): Promise<void> {
  const { algorithm, interval, ranks, kind, seed = 1, slow: slowRank = -1 } = run;
  const lr = 0.3, clip = 1, weights = 855_770 * 4;
  await Deno.mkdir(directory, { recursive: true });
  const config = { options: { algorithm, interval, ranks, lr, clip, model: "resnet56", seed } };
  await Deno.writeTextFile(`${directory}/config.json`, JSON.stringify(config));
  using log = new MetricsLog(`${directory}/metrics.jsonl`);
  const random = new Random(seed, "generated log", `${algorithm} ${interval}`);
  const every = algorithm === "naive-parallel" || algorithm === "single" ? 1 : interval;
  const steps = run.epochs * run.stepsPerEpoch;
  let seconds = 0, bytes = 0, round = 0;
  for (let step = 1; step <= Math.min(steps, run.stopAt ?? Infinity); step++) {
    const epoch = step / run.stepsPerEpoch;
    const part = epoch / run.epochs;
    const decay = part > 0.65 ? 0.01 : part > 0.45 ? 0.1 : 1;
    const slow = 1 + 0.02 * Math.log2(every) + (ranks === 1 ? 1.2 : 0);
    const level = 2.2 * Math.exp(-3.2 * part / slow) * (0.55 + 0.45 * decay) + 0.02;
    const meets = ranks > 1 && step % every === 0;
    const exchange = meets ? run.syncMs * (0.8 + 0.4 * random.uniform()) : 0;
    const waited = meets && slowRank >= 0 ? run.stepMs / 2 : 0;
    seconds += (run.stepMs * (0.95 + 0.1 * random.uniform()) + exchange + waited) / 1000;
    if (meets) {
      round++;
      bytes += 2 * weights * (ranks - 1) / ranks * (algorithm === "naive-parallel" ? 2 : 1);
    }
    const common = { step, iteration: step, epoch, round, samples: step * 64 };
    const sent = { bytesSent: bytes, bytesReceived: bytes };
    for (let rank = 0; rank < ranks; rank++) {
      const noise = 1 + 0.25 * (random.uniform() + random.uniform() - 1);
      const local = algorithm === "naive-parallel" ? 0.6 : 1;
      const gradNorm = local * (1.2 + 4.5 * Math.exp(-5 * part)) * noise ** 2;
      log.write({
        type: "step",
        rank,
        ...common,
        ...sent,
        seconds,
        loss: level * noise,
        gradNorm,
        clipped: algorithm !== "local-sgd" && gradNorm * lr * decay > clip,
        lr: lr * decay,
        clip,
        stepMs: run.stepMs + exchange + waited,
        syncMs: exchange + (rank === slowRank ? 0 : waited),
      });
    }
    if (meets) {
      log.write({
        type: "round",
        rank: 0,
        ...common,
        ...sent,
        seconds,
        syncMs: exchange,
        drift: algorithm === "naive-parallel"
          ? 0
          : (0.1 + 0.1 * random.uniform()) * every ** 0.8 * Math.max(decay, 0.05),
        driftBound: algorithm === "celgc" ? 2 * clip * every : null,
        participants: Array.from({ length: ranks }, (_, r) => r),
      });
    }
    if (step % run.stepsPerEpoch === 0) {
      const score = kind === "accuracy"
        ? { accuracy: 0.93 - 0.36 * level ** 0.8 - 0.004 * random.uniform() }
        : { perplexity: 55 * Math.exp(2.2 * level) };
      // deno-lint-ignore no-explicit-any -- the record of a text task
      const record: any = {
        type: "eval",
        rank: 0,
        ...common,
        ...sent,
        seconds,
        loss: level,
        ...score,
      };
      log.write({ ...record, count: 10_000, batchNorm: "average" });
    }
  }
  if (run.stopAt) return;
  const text = JSON.stringify({ type: "summary", rank: 0, step: steps, epoch: run.epochs });
  await Deno.writeTextFile(`${directory}/metrics.jsonl`, text + "\n", { append: true });
}
