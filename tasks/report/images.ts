/**
 * The figures as image files, drawn by the page's own code without a browser.
 *
 * @module
 */

import { imageFontUrls, loadCharts, loadImageRenderer } from "../../deps.ts";
import { hasSeeds, mergeSeeds } from "./page/bands.ts";
import { chartOption, standaloneHeight } from "./page/chart_option.ts";
import { writeOutputAll } from "../run/write_error.ts";
import type { FigureView, PageAxis, PageData, PageFigure } from "./page/data.ts";

const WIDTH = 960, HEIGHT = 540;

/** Pixels of a PNG for each of the image. */
const SCALE = 2;

/** Figures that the paper draws over every axis; the others are drawn over epochs. */
const OVER_EVERY_AXIS = /^((averaged-)?training-loss|.*-accuracy|.*-perplexity|.*-rmse)$/;

/** An image that was written: `<figure>.svg` or `<figure>-<axis>.svg`, and the same as PNG. */
export interface FigureImage {
  /** Path of the SVG. */
  readonly svg: string;
  /** Path of the PNG. */
  readonly png: string;
}

/**
 * Writes each figure as SVG and as PNG (twice as fine), 960 by 540 pixels, on white.
 *
 * @param directory is made
 * @returns the files, in the order of the page
 */
export async function writeImages(data: PageData, directory: string): Promise<FigureImage[]> {
  await Deno.mkdir(directory, { recursive: true });
  const png = await pngRenderer();
  const images: FigureImage[] = [];
  for (const figure of data.figures) {
    const axes = axesOf(data, figure);
    for (const axis of axes) {
      const name = `${directory}/${figure.id}${axes.length > 1 ? `-${slug(axis)}` : ""}`;
      const svg = await figureSvg(data, figure, axis);
      await writeOutputAll(`${name}.svg`, svg);
      await writeOutputAll(`${name}.png`, png(svg));
      images.push({ svg: `${name}.svg`, png: `${name}.png` });
    }
  }
  return images;
}

/** One figure as SVG, with its title and legend; runs that differ in their seeds alone are one, in a band. */
async function figureSvg(
  given: PageData,
  { id }: PageFigure,
  axis: PageAxis,
): Promise<string> {
  const { init } = await loadCharts();
  const merged = hasSeeds(given), data = merged ? mergeSeeds(given, axis.key) : given;
  const figure = data.figures.find((one) => one.id === id)!;
  const view: FigureView = {
    axis: axis.key,
    logX: false,
    logY: figure.kind === "lines" && figure.log,
    range: data.runs.length === 1 || merged,
    smooth: 0,
    timeline: figure.kind === "timeline" ? figure.runs.findIndex((run) => run !== null) : 0,
    hidden: data.runs.map(() => false),
    forward: -1,
    window: null,
    dark: false,
    width: WIDTH,
    standalone: true,
  };
  const height = standaloneHeight(data, figure, view, HEIGHT);
  const chart = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height });
  try {
    chart.setOption(chartOption(data, figure, view));
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

/** What a figure is drawn over, each in a file of its own. */
function axesOf(data: PageData, figure: PageFigure): readonly PageAxis[] {
  return figure.kind === "lines" && OVER_EVERY_AXIS.test(figure.id)
    ? data.axes
    : data.axes.slice(0, 1);
}

function slug({ name }: PageAxis): string {
  return name.toLowerCase().replaceAll(" ", "-");
}

let started: Promise<(svg: string) => Uint8Array> | undefined;

/** The renderer; its WebAssembly may be started once in a process. */
function pngRenderer(): Promise<(svg: string) => Uint8Array> {
  return started ??= (async () => {
    const { initWasm, Resvg, wasm } = await loadImageRenderer();
    await initWasm(await Deno.readFile(wasm));
    const fontBuffers = await Promise.all(
      (await imageFontUrls()).map((font) => Deno.readFile(font)),
    );
    return (svg) => {
      const image = new Resvg(svg, {
        fitTo: { mode: "zoom", value: SCALE },
        font: { fontBuffers, defaultFontFamily: "Inter" },
      });
      return image.render().asPng();
    };
  })();
}
