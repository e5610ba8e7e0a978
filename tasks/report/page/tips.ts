/**
 * The values under the pointer.
 *
 * @module
 */

import type { FigureView, LineFigure } from "./data.ts";
import { pointsOf } from "./points.ts";
import { type Browser, make, makeSwatch, type PageState } from "./state.ts";
import { writeValue } from "./style.ts";

/** The values of every curve at a point of the axis, from the largest to the smallest. */
export function lineTip(page: PageState, figure: LineFigure, view: FigureView, x: number): Browser {
  const { data } = page;
  const axis = data.axes.find((a) => a.key === page.axis) ?? data.axes[0];
  const format = axis.key === "seconds" ? "seconds" : axis.key === "bytes" ? "bytes" : "number";
  const tip = make(page, "div", "tip");
  const unit = format === "number"
    ? ` ${axis.title}`
    : ` ${axis.key === "bytes" ? "sent by each rank" : ""}`;
  tip.append(make(page, "b", "", writeValue(x, format) + unit));
  const rows = figure.series.flatMap((series) => {
    const points = pointsOf(data, series, view);
    const last = points.at(-1);
    if (view.hidden[series.run] || !last || x > last.x * 1.001) return [];
    const { y: value } = points.reduce((best, point) =>
      Math.abs(point.x - x) <= Math.abs(best.x - x) ? point : best
    );
    return value === null ? [] : [{ series, value }];
  });
  rows.sort((a, b) => b.value - a.value);
  for (const { series, value } of rows) {
    const row = make(page, "div", "");
    const label = data.runs[series.run].label + (series.name === "" ? "" : ` – ${series.name}`);
    row.append(
      makeSwatch(page, series.run),
      make(page, "span", "", label),
      make(page, "b", "", writeValue(value, figure.format)),
    );
    tip.append(row);
  }
  return tip;
}

/** What a bar is made of. */
export function barTip(page: PageState, params: Browser): Browser {
  const tip = make(page, "div", "tip");
  tip.append(make(page, "b", "", params[0].name));
  for (const { seriesName, value, color } of params) {
    const row = make(page, "div", "");
    const swatch = make(page, "span", "swatch");
    swatch.style.borderTopColor = color;
    row.append(
      swatch,
      make(page, "span", "", seriesName),
      make(page, "b", "", writeValue(value, "seconds")),
    );
    tip.append(row);
  }
  return tip;
}
