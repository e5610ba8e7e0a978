/**
 * The page's own script: it draws the figures and answers the controls.
 *
 * The page holds the compiled text of these functions (`Function.prototype.toString`), behind those of
 * `chart_option.ts`; so each is self-contained but for the others, and none reads a constant of this module.
 *
 * @module
 */

import {
  type ChartOption,
  chartOption,
  extentOf,
  paletteOf,
  runStyle,
  writeValue,
} from "./chart_option.ts";
import type { FigureView, LineFigure, PageData, PageFigure } from "./page_data.ts";
import type { AxisKey } from "./series.ts";

/** What the page uses of the chart library. */
export interface ChartLibrary {
  init(element: unknown, theme: null, options: { renderer: "svg" }): Chart;
}

/** A chart on the page. */
interface Chart {
  setOption(option: ChartOption, notMerge: boolean): void;
  resize(): void;
  getDataURL(options: { type: "svg" }): string;
  convertFromPixel(finder: { xAxisIndex: number }, pixel: number): number;
  containPixel(finder: { gridIndex: number }, pixel: number[]): boolean;
  dispose(): void;
}

// The browser's own interfaces; the runtime's type library does not have them.
// deno-lint-ignore no-explicit-any
type Browser = any;

/** Starts the page: reads its data, draws, and with `watch` asks for fresh data from time to time. */
export function startPage(charts: ChartLibrary): void {
  const { document, window } = globalThis as Browser;
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  const data: PageData = JSON.parse(document.getElementById("data").textContent);
  const page = {
    charts,
    document,
    data,
    axis: axisFromAddress(window.location.hash, data),
    logX: false,
    range: data.runs.length === 1,
    hidden: new Set<string>(),
    forward: -1,
    zoom: null as readonly [number, number] | null,
    logY: new Map<string, boolean>(),
    drawn: new Map<string, Drawn>(),
    dark: () => scheme.matches as boolean,
  };
  buildControls(page);
  buildFigures(page);
  drawAll(page);
  scheme.addEventListener("change", () => {
    buildRunButtons(page);
    drawAll(page);
  });
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    // A phone's address bar changes the height while scrolling; that is no reason to draw.
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    drawAll(page);
  });
  if (document.body.dataset.watch) {
    watchServer(page, Number(document.body.dataset.watch));
  }
}

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

/** The axis that the address names after its #, so that a view can be shared; else the first. */
export function axisFromAddress(hash: string, data: PageData): AxisKey {
  return data.axes.find((axis) => `#${axis.key}` === hash)?.key ?? data.axes[0].key;
}

/** Makes an element. The text is text, whatever it holds. */
export function make(page: PageState, tag: string, className: string, text = ""): Browser {
  const element = page.document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** The axis buttons, switches and run buttons. */
export function buildControls(page: PageState): void {
  const { document } = page;
  const controls = document.getElementById("controls");
  const axes = make(page, "fieldset", "axis");
  axes.setAttribute("aria-label", "Draw over");
  for (const axis of page.data.axes) {
    const label = make(page, "label", "");
    const input = make(page, "input", "");
    Object.assign(input, {
      type: "radio",
      name: "axis",
      value: axis.key,
      checked: axis.key === page.axis,
    });
    input.addEventListener("change", () => {
      page.axis = axis.key;
      page.zoom = null;
      (globalThis as Browser).history.replaceState(null, "", `#${axis.key}`);
      drawAll(page);
    });
    label.append(input, make(page, "span", "", axis.name));
    axes.append(label);
  }
  const check = (text: string, title: string, checked: boolean, change: (on: boolean) => void) => {
    const label = make(page, "label", "check");
    const input = make(page, "input", "");
    Object.assign(input, { type: "checkbox", checked });
    label.title = title;
    input.addEventListener("change", () => {
      change(input.checked);
      drawAll(page);
    });
    label.append(input, text);
    return label;
  };
  const whole = make(page, "button", "whole", "Whole range");
  whole.hidden = true;
  whole.addEventListener("click", () => {
    page.zoom = null;
    drawAll(page);
  });
  const runs = make(page, "fieldset", "runs");
  runs.setAttribute("aria-label", "Runs shown");
  controls.replaceChildren(
    axes,
    check("log x", "Logarithmic horizontal axes", page.logX, (on) => {
      page.logX = on;
      page.zoom = null;
    }),
    check("min–max", "Show the smallest and largest value of each bin", page.range, (on) => {
      page.range = on;
    }),
    whole,
    runs,
  );
  buildRunButtons(page);
}

/** One button a run: pressed is shown; pointing at it brings the run forward. */
export function buildRunButtons(page: PageState): void {
  const { document, data } = page;
  const buttons = data.runs.map((run, index) => {
    const button = make(page, "button", "");
    button.type = "button";
    button.setAttribute("aria-pressed", String(!page.hidden.has(run.label)));
    button.append(makeSwatch(page, index), run.label);
    button.addEventListener("click", () => {
      if (!page.hidden.delete(run.label)) page.hidden.add(run.label);
      button.setAttribute("aria-pressed", String(!page.hidden.has(run.label)));
      drawAll(page);
    });
    for (const [event, forward] of [["mouseenter", index], ["mouseleave", -1]] as const) {
      button.addEventListener(event, () => {
        page.forward = page.hidden.has(run.label) ? -1 : forward;
        drawAll(page);
      });
    }
    return button;
  });
  document.querySelector(".runs").replaceChildren(...buttons);
  for (const cell of document.querySelectorAll("[data-run]")) {
    cell.style.borderTopColor = runStyle(data, Number(cell.dataset.run), page.dark()).color;
  }
}

/** The short line in a run's colour. */
export function makeSwatch(page: PageState, run: number): Browser {
  const swatch = make(page, "span", "swatch");
  const { color, dash } = runStyle(page.data, run, page.dark());
  swatch.style.borderTopColor = color;
  if (dash !== "solid") swatch.style.borderTopStyle = "dashed";
  return swatch;
}

/** A card for each figure, in place of those that are there. */
export function buildFigures(page: PageState): void {
  const { document, data } = page;
  for (const { chart } of page.drawn.values()) chart.dispose();
  page.drawn.clear();
  document.querySelector(".figures").replaceChildren(...data.figures.map((figure) => {
    const card = make(page, "figure", "card");
    card.id = figure.id;
    const caption = make(page, "figcaption", "");
    const tools = make(page, "span", "tools");
    if (figure.kind === "lines") tools.append(logButton(page, figure));
    const save = make(page, "button", "", "SVG");
    Object.assign(save, { type: "button", title: `Save “${figure.title}” as SVG` });
    save.addEventListener("click", () => saveFigure(page, figure));
    tools.append(save);
    caption.append(
      make(page, "h2", "", figure.title),
      make(page, "span", "quiet source", figure.source),
      tools,
      make(page, "p", "quiet", figure.note),
    );
    const element = make(page, "div", "chart");
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", figure.description);
    card.append(caption, element);
    return card;
  }));
  for (const figure of data.figures) {
    const element = document.querySelector(`[id="${figure.id}"] .chart`);
    if (figure.kind === "bars") element.style.height = `${110 + 38 * data.runs.length}px`;
    const chart = page.charts.init(element, null, { renderer: "svg" });
    page.drawn.set(figure.id, { element, chart });
    if (figure.kind === "lines") pickRange(page, { element, chart });
  }
}

/** The switch of a figure's vertical axis. */
export function logButton(page: PageState, figure: LineFigure): Browser {
  const button = make(page, "button", "", "log y");
  const pressed = () => page.logY.get(figure.id) ?? figure.log;
  Object.assign(button, { type: "button", title: "Logarithmic vertical axis" });
  button.setAttribute("aria-pressed", String(pressed()));
  button.addEventListener("click", () => {
    page.logY.set(figure.id, !pressed());
    button.setAttribute("aria-pressed", String(pressed()));
    drawFigure(page, figure);
  });
  return button;
}

/** Dragging a mouse over a figure shows that part of the axis in all of them; a double click all of it. */
export function pickRange(page: PageState, { element, chart }: Drawn): void {
  let from: number | null = null;
  const pick = make(page, "div", "pick");
  const at = (event: Browser) => event.clientX - element.getBoundingClientRect().left;
  element.addEventListener("pointerdown", (event: Browser) => {
    const y = event.clientY - element.getBoundingClientRect().top;
    if (event.pointerType !== "mouse" || event.button !== 0) return;
    if (chart.containPixel({ gridIndex: 0 }, [at(event), y])) from = at(event);
  });
  element.addEventListener("pointermove", (event: Browser) => {
    if (from === null) return;
    const [left, right] = [from, at(event)].sort((a, b) => a - b);
    Object.assign(pick.style, {
      left: `${left}px`,
      width: `${right - left}px`,
      top: "30px",
      bottom: "40px",
    });
    element.append(pick);
  });
  const end = (event: Browser) => {
    pick.remove();
    const start = from;
    from = null;
    if (start === null || event.type !== "pointerup" || Math.abs(at(event) - start) < 8) return;
    const ends = [start, at(event)].map((x) => chart.convertFromPixel({ xAxisIndex: 0 }, x));
    ends.sort((a, b) => a - b);
    page.zoom = [ends[0], ends[1]];
    drawAll(page);
  };
  for (const event of ["pointerup", "pointerleave", "pointercancel"]) {
    element.addEventListener(event, end);
  }
  element.addEventListener("dblclick", () => {
    page.zoom = null;
    drawAll(page);
  });
}

/** How a figure is looked at now. */
export function viewOf(page: PageState, figure: PageFigure, width: number): FigureView {
  return {
    axis: page.axis,
    logX: page.logX,
    logY: figure.kind === "lines" && (page.logY.get(figure.id) ?? figure.log),
    range: page.range,
    hidden: page.data.runs.map((run) => page.hidden.has(run.label)),
    forward: page.forward,
    window: page.zoom,
    dark: page.dark(),
    width,
    standalone: false,
  };
}

/** Draws every figure. */
export function drawAll(page: PageState): void {
  page.document.querySelector(".whole").hidden = page.zoom === null;
  for (const figure of page.data.figures) drawFigure(page, figure);
}

/** Draws one figure. */
export function drawFigure(page: PageState, figure: PageFigure): void {
  const drawn = page.drawn.get(figure.id);
  if (!drawn) return;
  const palette = paletteOf(page.dark());
  const view = viewOf(page, figure, drawn.element.clientWidth);
  drawn.chart.resize();
  drawn.chart.setOption({
    ...chartOption(page.data, figure, view),
    tooltip: {
      trigger: "axis",
      confine: true,
      backgroundColor: palette.ground,
      borderColor: palette.line,
      padding: [8, 12],
      axisPointer: { type: figure.kind === "bars" ? "shadow" : "line", animation: false },
      formatter: (params: Browser) =>
        figure.kind === "bars"
          ? barTip(page, params)
          : lineTip(page, figure, view, Number(params[0]?.axisValue)),
    },
  }, true);
}

/** The values of every curve at a place of the axis, from the largest to the smallest. */
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
    const xs = data.tracks[series.track][axis.key];
    const whole = extentOf(xs, false);
    if (view.hidden[series.run] || !whole || x > whole[1] * 1.001) return [];
    let nearest = 0;
    for (let i = 1; i < xs.length; i++) {
      if (Math.abs(xs[i] - x) <= Math.abs(xs[nearest] - x)) nearest = i;
    }
    const value = series.y[nearest];
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

/** Offers a figure as a file, with its title and legend inside. */
export function saveFigure(page: PageState, figure: PageFigure): void {
  const box = make(page, "div", "");
  Object.assign(box.style, {
    width: "960px",
    height: "540px",
    position: "absolute",
    left: "-9999px",
  });
  page.document.body.append(box);
  const chart = page.charts.init(box, null, { renderer: "svg" });
  chart.setOption(
    chartOption(page.data, figure, { ...viewOf(page, figure, 960), standalone: true }),
    true,
  );
  const link = make(page, "a", "");
  Object.assign(link, {
    href: chart.getDataURL({ type: "svg" }),
    download: `${figure.id}-${page.axis}.svg`,
  });
  link.click();
  chart.dispose();
  box.remove();
}

/** Asks the server that serves the page for what changed. The view stays as it is. */
export function watchServer(page: PageState, everyMs: number): void {
  const { document, fetch, setTimeout } = globalThis as Browser;
  let version = "";
  const ask = async () => {
    try {
      const response = await fetch("data.json", { headers: { "if-none-match": version } });
      if (response.status === 200) {
        version = response.headers.get("etag") ?? "";
        const fresh = await response.json();
        const same = (a: PageData, b: PageData) =>
          JSON.stringify([a.runs, a.figures.map((f) => [f.id, f.note])]) ===
            JSON.stringify([b.runs, b.figures.map((f) => [f.id, f.note])]);
        const rebuild = !same(page.data, fresh.data);
        page.data = fresh.data;
        // Escaped by the server, as the page's own were.
        for (const [id, html] of Object.entries(fresh.parts)) {
          document.getElementById(id).innerHTML = html;
        }
        buildRunButtons(page);
        if (rebuild) buildFigures(page);
        drawAll(page);
      }
      document.getElementById("state").textContent = "";
    } catch {
      document.getElementById("state").textContent =
        "The server has ended; this is the last it sent.";
    }
    setTimeout(ask, everyMs);
  };
  setTimeout(ask, everyMs);
}

/** Everything above, for the page to carry along. */
export const CLIENT_FUNCTIONS: readonly CallableFunction[] = [
  startPage,
  axisFromAddress,
  make,
  buildControls,
  buildRunButtons,
  makeSwatch,
  buildFigures,
  logButton,
  pickRange,
  viewOf,
  drawAll,
  drawFigure,
  lineTip,
  barTip,
  saveFigure,
  watchServer,
];
