/**
 * What the page's script knows, and the making of its elements.
 *
 * @module
 */

import { runStyle } from "./style.ts";
import type { ChartOption, PageData } from "./data.ts";
import type { AxisKey } from "../../logs/series.ts";

/** What the page uses of the chart library. */
export interface ChartLibrary {
  init(element: unknown, theme: null, options: { renderer: "svg" }): Chart;
}

/** A chart on the page. */
export interface Chart {
  setOption(option: ChartOption, notMerge: boolean): void;
  resize(): void;
  getDataURL(options: { type: "svg" }): string;
  convertFromPixel(finder: { xAxisIndex: number }, pixel: number): number;
  containPixel(finder: { gridIndex: number }, pixel: number[]): boolean;
  dispose(): void;
}

// The browser's own interfaces; the runtime's type library does not have them.
// deno-lint-ignore no-explicit-any
export type Browser = any;

/** A figure on the page. */
export interface Drawn {
  readonly element: Browser;
  readonly chart: Chart;
}

/** The state of the page. */
export interface PageState {
  readonly charts: ChartLibrary;
  readonly document: Browser;
  data: PageData;
  axis: AxisKey;
  logX: boolean;
  range: boolean;
  /** Labels of the runs that are left out. */
  readonly hidden: Set<string>;
  forward: number;
  zoom: readonly [number, number] | null;
  /** By figure, where it differs from the figure's own wish. */
  readonly logY: Map<string, boolean>;
  readonly drawn: Map<string, Drawn>;
  dark(): boolean;
}

/** Makes an element. The text is text, whatever it holds. */
export function make(page: PageState, tag: string, className: string, text = ""): Browser {
  const element = page.document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** The short line in a run's colour. */
export function makeSwatch(page: PageState, run: number): Browser {
  const swatch = make(page, "span", "swatch");
  const { color, dash } = runStyle(page.data, run, page.dark());
  swatch.style.borderTopColor = color;
  if (dash !== "solid") swatch.style.borderTopStyle = "dashed";
  return swatch;
}
