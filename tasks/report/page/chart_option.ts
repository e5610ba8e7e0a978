/**
 * From a figure and a view of it to the chart library's option object. The same functions draw on the
 * page and on the images.
 *
 * @module
 */

import { barOption, barsHeight } from "./bar_option.ts";
import type { ChartOption, FigureView, PageData, PageFigure } from "./data.ts";
import { lineOption } from "./line_option.ts";
import { legendRows, paletteOf } from "./style.ts";
import { timelineOption } from "./timeline_option.ts";

const FONTS =
  "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

/** Height of a figure that stands alone, with its title and legend: for most, that of `lines`. */
export function standaloneHeight(
  data: PageData,
  figure: PageFigure,
  view: FigureView,
  lines: number,
): number {
  switch (figure.kind) {
    case "lines":
      return lines;
    case "bars":
      return Math.max(lines / 2, 150 + barsHeight(data, view));
    case "timeline":
      return 150 + 26 * Math.max(6, ...figure.runs.map((run) => run?.rows.length ?? 0));
  }
}

/** The option object of a figure. */
export function chartOption(data: PageData, figure: PageFigure, view: FigureView): ChartOption {
  const palette = paletteOf(view.dark);
  const body = figure.kind === "lines"
    ? lineOption(data, figure, view)
    : figure.kind === "bars"
    ? barOption(data, figure, view)
    : timelineOption(figure, view);
  const small = view.width < 520;
  const entries = figure.kind === "bars"
    ? figure.stacks.map((stack) => stack.name)
    : figure.kind === "timeline"
    ? figure.kinds
    : data.runs.filter((_, run) => !view.hidden[run]).map((run) => run.label);
  const title = view.standalone
    ? {
      text: figure.title,
      left: 16,
      top: 12,
      textStyle: { color: palette.text, fontSize: 20, fontWeight: 600 },
    }
    : undefined;
  return {
    animation: false,
    backgroundColor: view.standalone ? palette.ground : "transparent",
    textStyle: { fontFamily: FONTS },
    title,
    grid: {
      left: small ? 8 : 12,
      right: view.standalone ? 28 : small ? 12 : 18,
      top: view.standalone
        ? 62 + 27 * legendRows(entries, view.width)
        : small && figure.kind === "timeline"
        ? 48
        : 26,
      bottom: 8,
      outerBoundsMode: "same",
      outerBoundsContain: "all",
    },
    ...body,
  };
}
