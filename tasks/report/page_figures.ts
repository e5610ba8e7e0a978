/**
 * The figures of the page: their cards, their drawing, the values under the pointer.
 *
 * The page holds the compiled text of these functions (`Function.prototype.toString`); so each is
 * self-contained but for the others, and none reads a constant of a module.
 *
 * @module
 */

import { chartOption } from "./chart_option.ts";
import { pointsOf } from "./chart_points.ts";
import { paletteOf, writeValue } from "./chart_style.ts";
import type { FigureView, LineFigure, PageFigure } from "./page_data.ts";
import { type Browser, type Drawn, make, makeSwatch, type PageState } from "./page_state.ts";

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
      tools,
      make(page, "p", "quiet", [figure.source, figure.note].filter((t) => t !== "").join(" · ")),
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

/**
 * Dragging a mouse over a figure shows that part of the axis in all of them; a double click all of
 * it.
 */
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

/** Everything above, for the page to carry along. */
export const FIGURE_FUNCTIONS: readonly CallableFunction[] = [
  buildFigures,
  logButton,
  pickRange,
  viewOf,
  drawAll,
  drawFigure,
  lineTip,
  barTip,
  saveFigure,
];
