/**
 * A figure as a file: SVG and PNG with title and legend inside, CSV of what is shown.
 *
 * @module
 */

import { chartOption, standaloneHeight } from "./chart_option.ts";
import type { FigureView, PageData, PageFigure } from "./data.ts";
import { pointsOf } from "./points.ts";
import { type Browser, make, type PageState } from "./state.ts";

const WIDTH = 960, HEIGHT = 540;

/** Pixels of a PNG for each of the figure. */
const SCALE = 2;

/** Offers the figure as SVG. */
export function saveSvg(page: PageState, figure: PageFigure, view: FigureView): void {
  offer(page, drawAlone(page, figure, view).address, `${fileName(figure, view)}.svg`);
}

/** Offers the figure as PNG, twice as fine. */
export function savePng(page: PageState, figure: PageFigure, view: FigureView): Promise<void> {
  const { Image } = globalThis as Browser;
  const { address, height } = drawAlone(page, figure, view);
  return new Promise((resolve, reject) => {
    const image = new Image(WIDTH * SCALE, height * SCALE);
    image.onload = () => {
      const canvas = make(page, "canvas", "");
      Object.assign(canvas, { width: WIDTH * SCALE, height: height * SCALE });
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      offer(page, canvas.toDataURL("image/png"), `${fileName(figure, view)}.png`);
      resolve();
    };
    image.onerror = () => reject(new Error(`${figure.title} cannot be drawn as PNG`));
    image.src = address;
  });
}

/** Offers the numbers of the figure as CSV. */
export function saveCsv(page: PageState, figure: PageFigure, view: FigureView): void {
  const text = figureCsv(page.data, figure, view);
  offer(
    page,
    `data:text/csv;charset=utf-8,${encodeURIComponent(text)}`,
    `${fileName(figure, view)}.csv`,
  );
}

/** The numbers that a figure shows, one line a point. */
export function figureCsv(data: PageData, figure: PageFigure, view: FigureView): string {
  const shown = data.runs.flatMap((_, run) => view.hidden[run] ? [] : [run]);
  const lines: (readonly (string | number | null)[])[] = [];
  if (figure.kind === "lines") {
    lines.push(["run", "curve", view.axis, figure.yName, "least", "greatest"]);
    for (const series of figure.series) {
      if (view.hidden[series.run]) continue;
      const name = series.name === "" ? figure.title : series.name;
      for (const { x, y, low, high } of pointsOf(data, series, view)) {
        lines.push([data.runs[series.run].label, name, x, y, low, high]);
      }
    }
  } else if (figure.kind === "bars") {
    lines.push(["run", ...figure.stacks.map(({ name }) => `${name} (s)`)]);
    for (const run of shown) {
      lines.push([data.runs[run].label, ...figure.stacks.map(({ values }) => values[run])]);
    }
  } else {
    lines.push(["run", "rank", "from (s)", ...figure.kinds.map((kind) => `${kind} (%)`)]);
    const timeline = figure.runs[view.timeline];
    for (const { rank, shares } of timeline?.rows ?? []) {
      for (const bin of shares[0].keys()) {
        const known = shares.map((share) => share[bin]);
        const rest = 100 - known.reduce((sum, share) => sum + share, 0);
        const from = timeline!.seconds * bin / shares[0].length;
        lines.push([timeline!.label, rank, from, ...known, Math.max(0, rest)]);
      }
    }
  }
  return lines.map((line) => line.map(csvField).join(",")).join("\n") + "\n";
}

function csvField(value: string | number | null): string {
  const text = value === null ? "" : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function fileName(figure: PageFigure, view: FigureView): string {
  return figure.kind === "lines" ? `${figure.id}-${view.axis}` : figure.id;
}

/** The figure by itself as SVG, as a data address. */
function drawAlone(
  page: PageState,
  figure: PageFigure,
  seen: FigureView,
): { address: string; height: number } {
  const view = { ...seen, width: WIDTH, standalone: true };
  const height = standaloneHeight(page.data, figure, view, HEIGHT);
  const box = make(page, "div", "");
  Object.assign(box.style, {
    width: `${WIDTH}px`,
    height: `${height}px`,
    position: "absolute",
    left: "-9999px",
  });
  page.document.body.append(box);
  const chart = page.charts.init(box, null, { renderer: "svg" });
  chart.setOption(chartOption(page.data, figure, view), true);
  const address = chart.getDataURL({ type: "svg" });
  chart.dispose();
  box.remove();
  return { address, height };
}

function offer(page: PageState, href: string, download: string): void {
  const link = make(page, "a", "");
  Object.assign(link, { href, download });
  link.click();
}
