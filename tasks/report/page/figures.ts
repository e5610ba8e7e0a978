/**
 * The figures of the page: their cards, their drawing, the picking of a range.
 *
 * @module
 */

import { barsHeight } from "./bar_option.ts";
import { chartOption } from "./chart_option.ts";
import { paletteOf } from "./style.ts";
import type { FigureView, LineFigure, PageFigure, TimelineFigure } from "./data.ts";
import { saveCsv, savePng, saveSvg } from "./downloads.ts";
import {
  type Browser,
  type Drawn,
  keepAddress,
  make,
  matches,
  nameOf,
  type PageState,
  rangeShown,
  seedsMerged,
} from "./state.ts";
import { barTip, lineTip } from "./tips.ts";

/** A card for each figure; those that are there go. */
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
    if (figure.kind === "timeline") tools.append(runChoice(page, figure));
    for (const [name, save] of [["SVG", saveSvg], ["PNG", savePng], ["CSV", saveCsv]] as const) {
      const button = make(page, "button", "", name);
      const title = `Save “${figure.title}” as ${name}`;
      Object.assign(button, { type: "button", title, ariaLabel: title });
      button.addEventListener("click", () => {
        const now = page.data.figures.find(({ id }) => id === figure.id) ?? figure;
        return save(page, now, viewOf(page, now, 0));
      });
      tools.append(button);
    }
    caption.append(
      make(page, "h2", "", figure.title),
      tools,
      make(page, "p", "quiet", [figure.source, figure.note].filter((t) => t !== "").join(" · ")),
    );
    const element = make(page, "div", "chart");
    element.setAttribute("role", "img");
    card.append(caption, element);
    return card;
  }));
  for (const figure of data.figures) {
    const element = document.querySelector(`[id="${figure.id}"] .chart`);
    if (figure.kind === "timeline") {
      const rows = Math.max(...figure.runs.map((run) => run?.rows.length ?? 0));
      element.style.height = `${110 + 24 * Math.max(3, rows)}px`;
    }
    const chart = page.charts.init(element, null, { renderer: "svg" });
    page.drawn.set(figure.id, { element, chart });
    if (figure.kind === "lines") pickRange(page, { element, chart });
  }
}

/** The switch of a figure's vertical axis. */
function logButton(page: PageState, figure: LineFigure): Browser {
  const button = make(page, "button", "", "log y");
  const pressed = () => page.logY.get(figure.id) ?? figure.log;
  Object.assign(button, { type: "button", title: "Logarithmic vertical axis" });
  button.setAttribute("aria-pressed", String(pressed()));
  button.addEventListener("click", () => {
    page.logY.set(figure.id, !pressed());
    keepAddress(page);
    button.setAttribute("aria-pressed", String(pressed()));
    drawFigure(page, page.data.figures.find(({ id }) => id === figure.id) ?? figure);
  });
  return button;
}

/** Whose timeline is shown. */
function runChoice(page: PageState, figure: TimelineFigure): Browser {
  const select = make(page, "select", "");
  select.setAttribute("aria-label", "Run whose ranks are shown");
  for (const [run, shown] of page.data.runs.entries()) {
    if (figure.runs[run] === null) continue;
    const option = make(page, "option", "", shown.label);
    Object.assign(option, {
      value: nameOf(page, shown),
      selected: run === timelineRun(page, figure),
    });
    select.append(option);
  }
  select.addEventListener("change", () => {
    page.timeline = select.value;
    keepAddress(page);
    drawFigure(page, page.data.figures.find(({ id }) => id === figure.id) ?? figure);
  });
  return select;
}

/** The run whose timeline is shown: the one that was chosen, else the first that has one. */
function timelineRun(page: PageState, { runs }: TimelineFigure): number {
  const chosen = page.data.runs.findIndex((one, run) =>
    nameOf(page, one) === page.timeline && runs[run] !== null
  );
  return chosen >= 0 ? chosen : Math.max(0, runs.findIndex((run) => run !== null));
}

/**
 * Dragging a mouse over a figure shows that part of the axis in all of them; a double click all of
 * it.
 */
function pickRange(page: PageState, { element, chart }: Drawn): void {
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
function viewOf(page: PageState, figure: PageFigure, width: number): FigureView {
  return {
    axis: page.axis,
    logX: page.logX,
    logY: figure.kind === "lines" && (page.logY.get(figure.id) ?? figure.log),
    range: rangeShown(page),
    smooth: page.smooth,
    hidden: page.data.runs.map((run) => {
      const members = seedsMerged(page)
        ? page.source.runs.filter(({ group }) => group === run.group)
        : [run];
      return page.hidden.has(nameOf(page, run)) ||
        !members.some((one) => matches(one, page.filter));
    }),
    forward: page.forward,
    timeline: figure.kind === "timeline" ? timelineRun(page, figure) : 0,
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
function drawFigure(page: PageState, figure: PageFigure): void {
  const drawn = page.drawn.get(figure.id);
  if (!drawn) return;
  const palette = paletteOf(page.dark());
  const view = viewOf(page, figure, drawn.element.clientWidth);
  drawn.element.setAttribute("aria-label", figure.description);
  if (figure.kind === "bars") {
    drawn.element.style.height = `${110 + barsHeight(page.data, view)}px`;
  }
  drawn.chart.resize();
  drawn.chart.setOption({
    ...chartOption(page.data, figure, view),
    tooltip: figure.kind === "timeline" ? { show: false } : {
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
