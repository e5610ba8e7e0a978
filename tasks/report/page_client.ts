/**
 * The page's own script: it starts the drawing and answers the controls.
 *
 * The page holds the compiled text of these functions (`Function.prototype.toString`); so each is
 * self-contained but for the others, and none reads a constant of a module.
 *
 * @module
 */

import { runStyle } from "./chart_style.ts";
import type { PageData } from "./page_data.ts";
import { buildFigures, drawAll } from "./page_figures.ts";
import {
  type Browser,
  type ChartLibrary,
  type Drawn,
  make,
  makeSwatch,
  type PageState,
} from "./page_state.ts";
import type { AxisKey } from "../logs/series.ts";

/**
 * Starts the page: reads its data, draws, and with `watch` asks for fresh data from time to time.
 */
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

/** The axis that the address names after its #, so that a view can be shared; else the first. */
export function axisFromAddress(hash: string, data: PageData): AxisKey {
  return data.axes.find((axis) => `#${axis.key}` === hash)?.key ?? data.axes[0].key;
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
  buildControls,
  buildRunButtons,
  watchServer,
];
