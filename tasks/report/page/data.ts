/**
 * What a report's page draws, as plain data: computed once, embedded in the page as JSON, drawn
 * there and on the images by the same code.
 *
 * @module
 */

import type { RunState } from "../../logs/run_log.ts";
import type { AxisKey, Track } from "../../logs/series.ts";

/** How a figure's values are written. */
export type ValueFormat = "number" | "percent" | "bytes" | "seconds";

/** A run, in the order of the colours. */
export interface PageRun {
  readonly label: string;
  /** The run that others are compared with; drawn in the colour of the text. */
  readonly baseline: boolean;
  readonly state: RunState;
  /** The label without the seed: runs of one group differ in nothing else. The label itself where no seeds differ. */
  readonly group: string;
  /** What tells it from the other runs, by option: for finding it in the table. */
  readonly options: Readonly<Record<string, string>>;
}

/** A curve in a figure. A value that is not finite is null. */
export interface PageSeries {
  /** Index of the run. */
  readonly run: number;
  /**
   * What tells it from the run's other curve in the same figure, e.g. "bound"; "" for the main
   * one.
   */
  readonly name: string;
  /** `line`; `points`, a line with a mark at each value; `bound`, dashed. */
  readonly style: "line" | "points" | "bound";
  /** Index of where the points lie, in {@linkcode PageData.tracks}. */
  readonly track: number;
  readonly y: readonly (number | null)[];
  readonly low?: readonly (number | null)[];
  readonly high?: readonly (number | null)[];
}

/** What every figure has. */
interface Figure {
  readonly id: string;
  readonly title: string;
  /** Which figures of the paper it redraws; "" for none. */
  readonly source: string;
  readonly yName: string;
  readonly format: ValueFormat;
  /** One or two sentences under the title. */
  readonly note: string;
  /** For those who cannot see it: what it shows, such as what each curve ends at. */
  readonly description: string;
}

/** A figure of curves. */
export interface LineFigure extends Figure {
  readonly kind: "lines";
  /** Whether the y axis begins logarithmic. */
  readonly log: boolean;
  /** Whether the linear y axis includes zero. */
  readonly fromZero: boolean;
  readonly series: readonly PageSeries[];
}

/** A figure of stacked bars, one for each run. */
export interface BarFigure extends Figure {
  readonly kind: "bars";
  /** What each run's bar is made of, from the bottom; `values` by run. */
  readonly stacks: readonly {
    readonly name: string;
    readonly values: readonly (number | null)[];
  }[];
}

/** What a run's ranks did. */
export interface TimelineOfRun {
  /** The run's own label, also where it is drawn for those of other seeds. */
  readonly label: string;
  /** Where the time axis ends. */
  readonly seconds: number;
  /** The rank that computed longest. */
  readonly slowest: number;
  readonly rows: readonly {
    readonly rank: number;
    /** By kind but the last, which is what is left, and by equal pieces of the time: percent. */
    readonly shares: readonly (readonly number[])[];
  }[];
}

/** What each rank was busy with over time, of one run at a time. */
export interface TimelineFigure extends Figure {
  readonly kind: "timeline";
  readonly kinds: readonly string[];
  /** By run; null where its log does not tell. */
  readonly runs: readonly (TimelineOfRun | null)[];
}

/** A figure of the page. */
export type PageFigure = LineFigure | BarFigure | TimelineFigure;

/** An axis that curves can be drawn over. */
export interface PageAxis {
  readonly key: AxisKey;
  /** On its button. */
  readonly name: string;
  /** Along the axis. */
  readonly title: string;
}

/** Everything that a page draws. */
export interface PageData {
  readonly runs: readonly PageRun[];
  readonly axes: readonly PageAxis[];
  readonly tracks: readonly Track[];
  readonly figures: readonly PageFigure[];
}

/** How a figure is looked at. */
export interface FigureView {
  readonly axis: AxisKey;
  readonly logX: boolean;
  readonly logY: boolean;
  /** Draw the smallest and largest value of each bin. */
  readonly range: boolean;
  /** Points on each side over which lines are averaged; 0 for none. */
  readonly smooth: number;
  /** By run: whether it is left out. */
  readonly hidden: readonly boolean[];
  /** The run to bring forward, or -1. */
  readonly forward: number;
  /** The run whose timeline is drawn. */
  readonly timeline: number;
  /** Part of the x axis to show, or null for all of it. */
  readonly window: readonly [number, number] | null;
  readonly dark: boolean;
  /** Width in pixels. */
  readonly width: number;
  /** Title and legend inside the figure, as on an image. */
  readonly standalone: boolean;
}

/** An option object of ECharts; the library checks it. */
// deno-lint-ignore no-explicit-any
export type ChartOption = Record<string, any>;
