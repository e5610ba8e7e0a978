/**
 * Algorithm 1 in one process: N copies of the small network in float64, stepped in turn and averaged by
 * hand. It shares no code with the trainer, only the initial weights and the samples.
 */

import { CLASSES, FEATURES, HIDDEN, mlp, sample, samplesOf, TRAIN_SAMPLES } from "./_mlp.ts";

/** What is simulated. */
export interface SerialOptions {
  ranks: number;
  batchSize: number;
  steps: number;
  interval: number;
  lr: number;
  clip: number;
  seed: number;
  clipBy?: "local" | "global-average" | "max";
  average?: "after" | "before";
  momentum?: number;
  weightDecay?: number;
  /** Whether the copies meet at the end of each epoch as well. */
  syncEpochs?: boolean;
}

/** What the simulation found. */
export interface SerialResult {
  /** Mean over the ranks at the end. */
  weights: number[];
  /** By rank, then by step. */
  losses: number[][];
  gradNorms: number[][];
  clipped: boolean[][];
  /** Largest distance to the average, by round. */
  drifts: number[];
}

const norm = (v: number[]) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));

function meanOf(vectors: number[][]): number[] {
  return vectors[0].map((_, i) => vectors.reduce((sum, v) => sum + v[i], 0) / vectors.length);
}

/** Loss and gradient of a mini-batch, by hand. Layout: fc1.weight, fc1.bias, fc2.weight, fc2.bias. */
export function lossAndGradient(
  w: number[],
  numbers: number[],
): { loss: number; gradient: number[] } {
  const b1 = HIDDEN * FEATURES, w2 = b1 + HIDDEN, b2 = w2 + CLASSES * HIDDEN;
  const gradient = w.map(() => 0);
  let loss = 0;
  for (const n of numbers) {
    const { x, label } = sample(n);
    const h = Array.from(
      { length: HIDDEN },
      (_, j) => Math.tanh(x.reduce((sum, xi, i) => sum + w[j * FEATURES + i] * xi, w[b1 + j])),
    );
    const z = Array.from(
      { length: CLASSES },
      (_, c) => h.reduce((sum, hj, j) => sum + w[w2 + c * HIDDEN + j] * hj, w[b2 + c]),
    );
    const total = z.reduce((sum, zc) => sum + Math.exp(zc), 0);
    loss += (Math.log(total) - z[label]) / numbers.length;
    const dz = z.map((zc, c) => (Math.exp(zc) / total - (c === label ? 1 : 0)) / numbers.length);
    const dh = h.map((_, j) => dz.reduce((sum, d, c) => sum + d * w[w2 + c * HIDDEN + j], 0));
    dz.forEach((d, c) => {
      gradient[b2 + c] += d;
      h.forEach((hj, j) => gradient[w2 + c * HIDDEN + j] += d * hj);
    });
    dh.forEach((d, j) => {
      const da = d * (1 - h[j] * h[j]);
      gradient[b1 + j] += da;
      x.forEach((xi, i) => gradient[j * FEATURES + i] += da * xi);
    });
  }
  return { loss, gradient };
}

/** The network's first weights. */
export function initialWeights(seed: number): number[] {
  return mlp.build({ batchSize: 1, mode: "train" }).variables
    .flatMap(({ initial }) => [...initial(seed)]);
}

/** Whether the epoch of {@linkcode TRAIN_SAMPLES} ends with step `t`. */
export function endsEpoch(t: number, o: Pick<SerialOptions, "ranks" | "batchSize">): boolean {
  const epochs = (steps: number) => Math.floor(steps * o.ranks * o.batchSize / TRAIN_SAMPLES);
  return epochs(t) > epochs(t - 1);
}

/** Runs CELGC serially. */
export function simulate(o: SerialOptions): SerialResult {
  const { ranks, interval: I, clipBy = "local", average = "after", momentum = 0 } = o;
  const start = initialWeights(o.seed);
  let x = Array.from({ length: ranks }, () => [...start]);
  const buffers: (number[] | null)[] = x.map(() => null);
  const result: SerialResult = {
    weights: [],
    losses: x.map(() => []),
    gradNorms: x.map(() => []),
    clipped: x.map(() => []),
    drifts: [],
  };
  const meet = () => {
    const mean = meanOf(x);
    result.drifts.push(Math.max(...x.map((xi) => norm(xi.map((v, k) => v - mean[k])))));
    x = x.map(() => [...mean]);
  };
  let averageNorm = 0;
  for (let t = 1; t <= o.steps; t++) {
    if (average === "before" && (t - 1) % I === 0) meet();
    const found = x.map((xi, i) => lossAndGradient(xi, samplesOf(t, i, ranks, o.batchSize)));
    if ((t - 1) % I === 0) averageNorm = norm(meanOf(found.map(({ gradient }) => gradient)));
    x = x.map((xi, i) => {
      const { loss, gradient } = found[i];
      const local = norm(gradient);
      const deciding = clipBy === "local"
        ? local
        : clipBy === "max"
        ? Math.max(local, averageNorm)
        : averageNorm;
      const scale = Math.min(o.lr, o.clip / deciding);
      result.losses[i].push(loss);
      result.gradNorms[i].push(local);
      result.clipped[i].push(o.clip / deciding < o.lr);
      let d = gradient.map((g, k) => g + (o.weightDecay ?? 0) * xi[k]);
      if (momentum) {
        const before = buffers[i];
        d = buffers[i] = before ? before.map((b, k) => momentum * b + d[k]) : d;
      }
      return xi.map((v, k) => v - scale * d[k]);
    });
    if (average === "after" && t % I === 0 || o.syncEpochs && endsEpoch(t, o)) meet();
  }
  // The mean that the run comes to, where the last step was no round.
  if (average === "before" || o.steps % I !== 0) meet();
  result.weights = meanOf(x);
  return result;
}
