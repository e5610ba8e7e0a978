import type { FigureView, PageData, PageSeries } from "./data.ts";

/** A point of a curve as it is drawn. */
export interface ChartPoint {
  readonly x: number;
  readonly y: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/**
 * The points of a curve on a view's axis and inside its window. Several at one point of the axis, as the steps
 * between two rounds are on the axis of rounds, become their mean. Lines are smoothed as the view says; evaluations
 * and bounds, of which each stands for itself, are not.
 */
export function pointsOf(
  data: PageData,
  series: PageSeries,
  view: Pick<FigureView, "axis" | "logX" | "window" | "smooth">,
): ChartPoint[] {
  const xs = data.tracks[series.track][view.axis];
  const among = (values: readonly (number | null)[] | undefined, from: number, to: number) =>
    (values ?? []).slice(from, to).filter((value): value is number => value !== null);
  const points: ChartPoint[] = [];
  for (let from = 0, to = 0; from < xs.length; from = to) {
    const x = xs[from];
    for (to = from + 1; to < xs.length && xs[to] === x;) to++;
    if (x === null || (view.logX && x <= 0)) continue;
    if (view.window && (x < view.window[0] || x > view.window[1])) continue;
    const y = among(series.y, from, to);
    const low = among(series.low, from, to), high = among(series.high, from, to);
    points.push({
      x,
      y: y.length > 0 ? y.reduce((sum, value) => sum + value, 0) / y.length : null,
      low: low.length > 0 ? Math.min(...low) : null,
      high: high.length > 0 ? Math.max(...high) : null,
    });
  }
  return view.smooth > 0 && series.style === "line" ? smoothed(points, view.smooth) : points;
}

/** Each value's mean with those of so many points on each side, fewer at the ends. */
function smoothed(points: readonly ChartPoint[], reach: number): ChartPoint[] {
  return points.map((point, i) => {
    const side = Math.min(reach, i, points.length - 1 - i);
    const near = points.slice(i - side, i + side + 1).flatMap(({ y }) => y === null ? [] : [y]);
    if (point.y === null || near.length === 0) return point;
    return { ...point, y: near.reduce((sum, value) => sum + value, 0) / near.length };
  });
}
