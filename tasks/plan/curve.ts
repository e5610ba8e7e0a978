/**
 * The learning rate over a run, as a plan shows it.
 *
 * @module
 */

import { stepSizeAt } from "../options/stepping/step_size.ts";
import type { Options } from "../options/values.ts";

/** η and γ of one step. */
export interface PlannedSize {
  /** Counted from 1. */
  readonly step: number;
  /** η */
  readonly lr: number;
  /** γ */
  readonly clip: number;
}

/** Points of the curve: as many columns as a terminal has room for beside a label. */
const POINTS = 48;

/** Bars from none to full. */
const BARS = "▁▂▃▄▅▆▇█";

/**
 * Steps spread evenly over a run, the first and the last among them.
 *
 * @param epochs passes over the data in all of its steps
 */
export function planSizes(options: Options, steps: number, epochs: number): PlannedSize[] {
  const points = Math.min(POINTS, steps);
  return Array.from({ length: points }, (_, i) => {
    const done = points === 1 ? 0 : Math.round(i * (steps - 1) / (points - 1));
    const { learningRate, clipThreshold } = stepSizeAt(options, {
      done,
      steps,
      epoch: epochs * done / steps,
    });
    return { step: done + 1, lr: learningRate, clip: clipThreshold };
  });
}

/** The curve as bars up to its peak, and its first, highest and last value. */
export function formatSizes(sizes: readonly PlannedSize[]): string[] {
  const [first] = sizes, last = sizes.at(-1);
  if (!last) return [];
  const peak = sizes.reduce((best, each) => each.lr > best.lr ? each : best);
  if (sizes.every(({ lr }) => lr === peak.lr)) {
    return [`learning rate ${number(peak.lr)} throughout, clipped at ${number(peak.clip)}`];
  }
  const bar = ({ lr }: PlannedSize) => BARS[Math.round(lr / peak.lr * (BARS.length - 1))];
  const shown = [...new Set([first, peak, last])];
  const values = shown.map(({ step, lr }) => `${number(lr)} at step ${step}`).join(", ");
  return [`learning rate ${sizes.map(bar).join("")}`, `  ${values}`];
}

const number = (value: number) => String(Number(value.toPrecision(3)));
