/**
 * What the page's script knows, and the making of its elements.
 *
 * @module
 */

import { type AddressedView, readAddress, writeAddress } from "./address.ts";
import { hasSeeds, mergeSeeds } from "./bands.ts";
import { runStyle } from "./style.ts";
import type { ChartOption, PageData, PageRun } from "./data.ts";
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
  /** What the page was given. */
  source: PageData;
  /** What is drawn: the same, or with runs that differ in their seeds alone as one. */
  data: PageData;
  axis: AxisKey;
  logX: boolean;
  /** Null: as the page begins, with the runs' own or their seeds' range if it says something. */
  range: boolean | null;
  /** Null: as the page begins, with seeds as one. */
  seeds: boolean | null;
  smooth: number;
  /** The runs that are left out, by their names. */
  hidden: Set<string>;
  filter: string;
  /** The column by which the table is sorted, from 1, negative for falling; 0: as it begins. */
  sort: number;
  /** Name of the run whose timeline is shown; "": the first. */
  timeline: string;
  forward: number;
  zoom: readonly [number, number] | null;
  /** By figure, where it differs from the figure's own wish. */
  logY: Map<string, boolean>;
  readonly drawn: Map<string, Drawn>;
  dark(): boolean;
}

/** Whether runs that differ in their seeds alone are drawn as one. */
export function seedsMerged(page: PageState): boolean {
  return hasSeeds(page.source) && (page.seeds ?? true);
}

/** Whether least and greatest values are drawn. */
export function rangeShown(page: PageState): boolean {
  return page.range ?? (page.source.runs.length === 1 || seedsMerged(page));
}

/**
 * Whether a run is what is looked for. Each word must be the beginning of a word of its label, or say an option's
 * value, as in `interval=4`; with - before it, it must not.
 */
export function matches({ label, options }: PageRun, filter: string): boolean {
  const words = label.toLowerCase().split(/\s+/);
  const settings = Object.entries(options).map(([name, value]) => `${name}=${value}`.toLowerCase());
  return filter.toLowerCase().split(/\s+/).every((word) => {
    const not = word.startsWith("-"), wanted = not ? word.slice(1) : word;
    if (wanted === "") return true;
    const found = words.some((each) => each.startsWith(wanted)) || settings.includes(wanted);
    return found !== not;
  });
}

/** Makes what is drawn of what was given, as the view has it. */
export function derive(page: PageState): void {
  const { source, axis, filter } = page;
  const found = source.runs.map((run) => matches(run, filter));
  page.data = seedsMerged(page) ? mergeSeeds(source, axis, found) : source;
}

/** What a run is hidden and chosen by: the same however many of a group's seeds there are. */
export function nameOf(page: PageState, run: PageRun): string {
  return seedsMerged(page) ? run.group : run.label;
}

/** The view of an address. */
export function viewOfAddress(hash: string, data: PageData): Omit<AddressedView, "hidden"> & {
  hidden: Set<string>;
  logY: Map<string, boolean>;
} {
  const view = readAddress(hash, data);
  return { ...view, hidden: new Set(view.hidden), logY: new Map(view.logY) };
}

/** Puts the view into the address, so that it can be shared. */
export function keepAddress(page: PageState): void {
  const { history } = globalThis as Browser;
  history.replaceState(null, "", writeAddress({ ...page, hidden: [...page.hidden] }));
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
