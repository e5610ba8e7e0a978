/**
 * Every outside package, named once and pinned. A module imported by URL gets no import map, so the
 * specifiers are inline; heavy packages are loaded only when asked for.
 *
 * @module
 */

export type { Command, Option } from "npm:commander@15.1.0";
export { create, fromBinary, toBinary } from "npm:@bufbuild/protobuf@2.17.0";
export * as onnx from "npm:onnx-buf@1.20.0-1";

/** The command line's parser. */
// deno-lint-ignore no-import-prefix -- the rule spares re-exports, which cannot be lazy
export const loadCommander = () => import("npm:commander@15.1.0");

/** The native CPU engine (Microsoft's onnxruntime, N-API). */
// deno-lint-ignore no-import-prefix -- the rule spares re-exports, which cannot be lazy
export const loadOnnxRuntimeNode = () => import("npm:onnxruntime-node@1.30.0");

/** The WebGPU and WebAssembly engine (Microsoft's onnxruntime, C++ compiled to wasm). */
// deno-lint-ignore no-import-prefix -- the rule spares re-exports, which cannot be lazy
export const loadOnnxRuntimeWeb = () => import("npm:onnxruntime-web@1.30.0/webgpu");

/** Where the native engine lies on this machine; fetches it if it is not cached. */
export const onnxRuntimeNodeUrl = () => import.meta.resolve("npm:onnxruntime-node@1.30.0");

/** Where the web engine lies on this machine; fetches it if it is not cached. */
export const onnxRuntimeWebUrl = () => import.meta.resolve("npm:onnxruntime-web@1.30.0/webgpu");

/** Progress bars for terminals. */
export const loadProgressBars = () =>
  // @ts-types="npm:@types/cli-progress@3.11.6"
  // deno-lint-ignore no-import-prefix -- as above
  import("npm:cli-progress@3.12.0");

/** The chart library (Apache ECharts), which draws a report's figures. */
// deno-lint-ignore no-import-prefix -- the rule spares re-exports, which cannot be lazy
export const loadCharts = () => import("npm:echarts@6.1.0");

/** The chart library's build for browsers, as text, for a page that must stand alone. */
export const loadChartBundle = (): Promise<{ default: string }> =>
  // deno-lint-ignore no-import-prefix -- the rule spares re-exports, which cannot be lazy
  import("npm:echarts@6.1.0/dist/echarts.common.min.js", { with: { type: "text" } });

/** Unpacks tar archives, compressed ones too (npm's own). */
// deno-lint-ignore no-import-prefix -- as above
export const loadTar = () => import("npm:tar@7.5.23");

/** Reads zip archives. */
// deno-lint-ignore no-import-prefix -- as above
export const loadZip = () => import("npm:fflate@0.8.3");

/**
 * From SVG to PNG without a browser (resvg, as WebAssembly), and a font for it: what the machine has
 * installed must not decide what an image looks like.
 */
export const loadImageRenderer = async () => {
  // deno-lint-ignore no-import-prefix -- the rule spares re-exports, which cannot be lazy
  const { initWasm, Resvg } = await import("npm:@resvg/resvg-wasm@2.6.2");
  // A package's files have an address once one of its modules is loaded.
  // deno-lint-ignore no-import-prefix -- the rule spares re-exports, which cannot be lazy
  await import("npm:@expo-google-fonts/inter@0.4.2/package.json", { with: { type: "json" } });
  return {
    initWasm,
    Resvg,
    wasm: new URL(import.meta.resolve("npm:@resvg/resvg-wasm@2.6.2/index_bg.wasm")),
    fonts: ["400Regular/Inter_400Regular.ttf", "600SemiBold/Inter_600SemiBold.ttf"]
      .map((file) => new URL(import.meta.resolve(`npm:@expo-google-fonts/inter@0.4.2/${file}`))),
  };
};

/** Drives an installed Chromium; the tests look at a report's page with it. */
// deno-lint-ignore no-import-prefix -- the rule spares re-exports, which cannot be lazy
export const loadBrowserDriver = () => import("npm:puppeteer-core@25.16.0");

/** Tables for terminals. */
// deno-lint-ignore no-import-prefix -- the rule spares re-exports, which cannot be lazy
export const loadTables = async () => (await import("npm:cli-table3@0.6.5")).default;

/** Writes CSV. */
// deno-lint-ignore no-import-prefix -- as above
export const loadCsv = () => import("npm:csv-stringify@6.9.0/sync");
