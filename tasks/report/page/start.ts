/**
 * The page's own script: it starts the drawing and asks for what changed.
 *
 * @module
 */

import type { PageData } from "./data.ts";
import { arrange, buildControls, buildRunButtons } from "./controls.ts";
import { buildFigures, drawAll } from "./figures.ts";
import {
  type Browser,
  type ChartLibrary,
  derive,
  type Drawn,
  keepAddress,
  type PageState,
  viewOfAddress,
} from "./state.ts";
import { buildTable } from "./table.ts";

/**
 * Starts the page: reads its data, draws, and with `watch` asks for fresh data from time to time.
 */
export function startPage(charts: ChartLibrary): void {
  const { document, window } = globalThis as Browser;
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  const data: PageData = JSON.parse(document.getElementById("data").textContent);
  const page: PageState = {
    charts,
    document,
    source: data,
    data,
    ...viewOfAddress(window.location.hash, data),
    forward: -1,
    zoom: null,
    drawn: new Map<string, Drawn>(),
    dark: () => scheme.matches as boolean,
  };
  derive(page);
  buildControls(page);
  buildTable(page, () => keepAddress(page));
  buildFigures(page);
  drawAll(page);
  window.addEventListener("hashchange", () => {
    Object.assign(page, viewOfAddress(window.location.hash, page.source), { zoom: null });
    derive(page);
    buildControls(page);
    arrange(page);
    buildFigures(page);
    drawAll(page);
  });
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
        const rebuild = !same(page.source, fresh.data);
        page.source = fresh.data;
        derive(page);
        keepingFocus(() => {
          // Escaped by the server, as the page's own were.
          for (const [id, html] of Object.entries(fresh.parts as Record<string, string>)) {
            const part = document.getElementById(id);
            const details = () => [...part.querySelectorAll("details")];
            const opened = details().map(({ open }) => open);
            part.innerHTML = html;
            for (const [i, each] of details().entries()) each.open = opened[i] ?? each.open;
          }
          buildTable(page, () => keepAddress(page));
          buildRunButtons(page);
          if (rebuild) buildFigures(page);
        });
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

/** Changes the page, and puts the keyboard's focus where it was among the buttons and fields of its part. */
function keepingFocus(change: () => void): void {
  const { document } = globalThis as Browser;
  const focused = document.activeElement, part = focused?.closest("[id]")?.id ?? "";
  const among = () => [
    ...document.getElementById(part)?.querySelectorAll("button, input, select, summary") ?? [],
  ];
  const place = among().indexOf(focused);
  change();
  if (place >= 0 && document.activeElement !== focused) among()[place]?.focus();
}
