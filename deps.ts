/**
 * Every outside package, named once and pinned. A module imported by URL gets no import map, so the
 * specifiers are inline; heavy packages are loaded only when asked for.
 *
 * @module
 */

export type { Command, Option } from "npm:commander@15.1.0";
export { create, fromBinary, toBinary } from "npm:@bufbuild/protobuf@2.17.0";
export { BinaryWriter, WireType } from "npm:@bufbuild/protobuf@2.17.0/wire";
export * as onnx from "npm:onnx-buf@1.20.0-1";

// Deno's standard library. npm has it as JavaScript without types; those of what is used stand here.
// deno-lint-ignore no-import-prefix -- the rule spares re-exports, which could not be given a type
import * as async from "npm:deno-std@1.4.0/async/delay.js";
// deno-lint-ignore no-import-prefix -- as above
import * as bytes from "npm:deno-std@1.4.0/fmt/bytes.js";
// deno-lint-ignore no-import-prefix -- as above
import * as text from "npm:deno-std@1.4.0/text/levenshtein_distance.js";

/** Resolves after `ms` milliseconds; rejects with the signal's reason if it is aborted before. */
export const delay: (
  ms: number,
  options?: { readonly signal?: AbortSignal; readonly persistent?: boolean },
) => Promise<void> = async.delay;

/** A number of bytes in words, powers of ten and three digits: `37.4 MB`. */
export const formatBytes: (bytes: number) => string = bytes.format;

/** Insertions, deletions and replacements that lead from one word to another. */
export const levenshteinDistance: (a: string, b: string) => number = text.levenshteinDistance;

/** The command line's parser. */
// deno-lint-ignore no-import-prefix -- the rule spares re-exports, which cannot be lazy
export const loadCommander = () => import("npm:commander@15.1.0");

/**
 * Imports a package that not everybody needs. Deno fetches what it finds by reading the code, dynamic
 * imports of literals included, before anything runs; a specifier that is a variable is fetched when it
 * is asked for.
 */
// deno-lint-ignore no-explicit-any -- the callers say what they import
async function fetchPackage(specifier: string, options?: ImportCallOptions): Promise<any> {
  try {
    return await import(specifierHere(specifier), options);
  } catch (error) {
    throw (error as { code?: string }).code === "ERR_MODULE_NOT_FOUND"
      ? missingPackage(specifier, error as Error)
      : error;
  }
}

/** Where a package's module lies on this machine, once it has been fetched. */
function resolvePackage(specifier: string): string {
  try {
    return import.meta.resolve(specifierHere(specifier));
  } catch (error) {
    throw missingPackage(specifier, error as Error);
  }
}

/** Whether celgc lies in a project's `node_modules`, from where only what is installed there is found. */
const IS_INSTALLED = import.meta.url.includes("/node_modules/");

/** What an `npm:` specifier is called from here. */
function specifierHere(specifier: string): string {
  return IS_INSTALLED ? specifier.replace(/^npm:(.[^/@]*(?:\/[^/@]+)?)@[^/]+/, "$1") : specifier;
}

/**
 * A package that is not in Deno's cache and cannot be fetched, or that celgc, itself installed by npm, does not find
 * beside it; the message says how to get it.
 */
export class MissingPackageError extends Error {
  /** The name of the class. */
  override readonly name = "MissingPackageError";
}

/** Says of a package that is not there how to get it. */
function missingPackage(specifier: string, cause: Error): MissingPackageError {
  const pinned = specifier.slice("npm:".length).replace(/(.@[^/]+).*/, "$1");
  if (IS_INSTALLED) {
    return new MissingPackageError(
      `cannot load ${pinned}: install it beside celgc, npm install --ignore-scripts ${pinned}`,
      { cause },
    );
  }
  // Deno numbers the causes; the first of them has the others in it.
  const reason = /^\s*0: (.*)$/m.exec(cause.message)?.[1] ?? cause.message;
  return new MissingPackageError(
    `cannot fetch ${pinned} from the npm registry: ${reason}; once fetched it stays in Deno's cache, and no network ` +
      "is needed",
    { cause },
  );
}

/** Version of onnxruntime, native and web. */
export const ONNXRUNTIME_VERSION = "1.30.0";
const ONNXRUNTIME_NODE = `npm:onnxruntime-node@${ONNXRUNTIME_VERSION}`;
const ONNXRUNTIME_WEB = `npm:onnxruntime-web@${ONNXRUNTIME_VERSION}/webgpu`;
const ONNXRUNTIME_JSPI = `npm:onnxruntime-web@${ONNXRUNTIME_VERSION}/jspi`;

/**
 * What the environment must hold before the native engine is loaded. It reports to its maker from native
 * code, which no permission of Deno stops, unless it finds this.
 */
export const NATIVE_ENGINE_ENVIRONMENT: Readonly<Record<string, string>> = {
  ORT_DISABLE_TELEMETRY: "1",
};

/**
 * The native CPU engine (Microsoft's onnxruntime, N-API), with its telemetry off whatever the user's
 * environment says.
 *
 * @throws {Error} the environment may not be changed, so that the telemetry would stay on
 */
export async function loadOnnxRuntimeNode(): Promise<
  OnnxRuntimeNode & { default: OnnxRuntimeNode }
> {
  for (const [name, value] of Object.entries(NATIVE_ENGINE_ENVIRONMENT)) {
    try {
      // Reaches the C environment too, which the native code reads.
      Deno.env.set(name, value);
    } catch (cause) {
      throw new Error(
        `its telemetry cannot be turned off without leave to set ${name}: --allow-env=${name}`,
        { cause },
      );
    }
  }
  return await fetchPackage(ONNXRUNTIME_NODE);
}

type OnnxRuntimeNode = typeof import("npm:onnxruntime-node@1.30.0");

/** The WebGPU and WebAssembly engine (Microsoft's onnxruntime, C++ compiled to wasm). */
export const loadOnnxRuntimeWeb = (): Promise<
  typeof import("npm:onnxruntime-web@1.30.0/webgpu")
> => fetchPackage(ONNXRUNTIME_WEB);

/**
 * The same engine in another build: JavaScript's promise integration suspends it while it waits for the GPU,
 * where it otherwise unwinds its stack itself. The bench compares them.
 */
export const loadOnnxRuntimeJspi: typeof loadOnnxRuntimeWeb = () => fetchPackage(ONNXRUNTIME_JSPI);

/** Fetches the native engine if it is not cached, and does not load it. */
export const fetchOnnxRuntimeNode = (): Promise<unknown> =>
  fetchPackage(`${ONNXRUNTIME_NODE}/package.json`, { with: { type: "json" } });

/** Where the native engine lies on this machine, once it has been fetched. */
export const onnxRuntimeNodeUrl = () => resolvePackage(ONNXRUNTIME_NODE);

/** Where the web engine lies on this machine, once it has been fetched. */
export const onnxRuntimeWebUrl = () => resolvePackage(ONNXRUNTIME_WEB);

/** Makes X.509 certificates. It needs the metadata API, which must be there first. */
export const loadX509 = async (): Promise<typeof import("npm:@peculiar/x509@2.2.0")> => {
  await fetchPackage("npm:reflect-metadata@0.2.2");
  return await fetchPackage("npm:@peculiar/x509@2.2.0");
};

/** Reads a secret from the terminal without showing it (Deno's standard library); null without a terminal. */
export const loadPromptSecret = async (): Promise<
  (message: string, options?: { readonly mask?: string }) => string | null
> =>
  // deno-lint-ignore no-import-prefix -- as above
  (await import("npm:deno-std@1.4.0/cli/prompt_secret.js")).promptSecret;

/** Progress bars for terminals. */
export const loadProgressBars = () =>
  // @ts-types="npm:@types/cli-progress@3.11.6"
  // deno-lint-ignore no-import-prefix -- as above
  import("npm:cli-progress@3.12.0");

/** Unpacks tar archives, compressed ones too (npm's own). */
// deno-lint-ignore no-import-prefix -- as above
export const loadTar = () => import("npm:tar@7.5.23");

/** Reads tar archives from streams, without a file system and without leave for anything. */
export const loadTarDecoder = (): Promise<typeof import("npm:modern-tar@0.8.6")> =>
  fetchPackage("npm:modern-tar@0.8.6");

/** Reads zip archives. */
// deno-lint-ignore no-import-prefix -- as above
export const loadZip = () => import("npm:fflate@0.8.3");

const PICKLES = "npm:pickleparser@0.2.1";

/** Reads Python's pickles; what they may call is the caller's to say. */
export const loadPickleParser = async (): Promise<typeof import("npm:pickleparser@0.2.1")> => {
  const module = await fetchPackage(PICKLES);
  return module.default ?? module;
};

/** Reads parquet files. */
export const loadParquet = (): Promise<typeof import("npm:hyparquet@1.33.0")> =>
  fetchPackage("npm:hyparquet@1.33.0");

/** Reads the header of a page of a parquet file, from where a reader stands in it. */
export const loadParquetPageHeader = (): Promise<{
  parquetHeader(reader: { readonly view: DataView; offset: number }): ParquetPageHeader;
}> => fetchPackage("npm:hyparquet@1.33.0/src/column.js");

/** A header of a page of a parquet file; what a damaged file says may be anything. */
export type ParquetPageHeader = import("npm:hyparquet@1.33.0").PageHeader;

/** Writes parquet files, for tests. */
export const loadParquetWriter = (): Promise<typeof import("npm:hyparquet-writer@0.17.0")> =>
  fetchPackage("npm:hyparquet-writer@0.17.0");

/** Decodes PNG files, and encodes them for tests. */
export const loadPng = (): Promise<typeof import("npm:fast-png@8.0.0")> =>
  fetchPackage("npm:fast-png@8.0.0");

/**
 * Makes a decoder of a codec of the Squoosh app, as WebAssembly. It comes as a module, for which nobody needs
 * leave to read files, and so needs nothing from the network either.
 */
async function loadCodec(packageName: string, wasm: string) {
  const { default: decode, init } = await fetchPackage(`${packageName}/decode.js`);
  // @ts-ignore -- TypeScript does not know source phase imports yet
  await init(await import.source(specifierHere(`${packageName}/${wasm}`)));
  return decode;
}

/** Decodes JPEG files (mozjpeg). */
export const loadJpeg = once(
  (): Promise<typeof import("npm:@jsquash/jpeg@1.6.0/decode.js")["default"]> =>
    loadCodec("npm:@jsquash/jpeg@1.6.0", "codec/dec/mozjpeg_dec.wasm"),
);

/** Decodes WebP files (libwebp). */
export const loadWebp = once(
  (): Promise<typeof import("npm:@jsquash/webp@1.5.0/decode.js")["default"]> =>
    loadCodec("npm:@jsquash/webp@1.5.0", "codec/dec/webp_dec.wasm"),
);

/** What is made when it is first asked for. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => made ??= make();
}

/** Tables for terminals. */
// deno-lint-ignore no-import-prefix -- the rule spares re-exports, which cannot be lazy
export const loadTables = async () => (await import("npm:cli-table3@0.6.5")).default;

/** Writes CSV (Deno's standard library), with plain line feeds, which line tools expect. */
export const loadCsv = async (): Promise<
  { stringify(rows: readonly (readonly string[])[]): string }
> => {
  // deno-lint-ignore no-import-prefix -- as above
  const { stringify } = await import("npm:deno-std@1.4.0/csv/stringify.js");
  return { stringify: (rows) => stringify(rows).replaceAll("\r\n", "\n") };
};

/** Reads CSV (Deno's standard library); a SyntaxError names the line. */
export const loadCsvParser = async (): Promise<
  { parse(text: string, options: { readonly separator: string }): string[][] }
> =>
  // deno-lint-ignore no-import-prefix -- as above
  await import("npm:deno-std@1.4.0/csv/parse.js");

/** Where a file of a package lies on this machine; fetches the package if it is not cached. */
async function fetchFile(packageName: string, path: string): Promise<URL> {
  await fetchPackage(`${packageName}/package.json`, { with: { type: "json" } });
  return new URL(resolvePackage(`${packageName}/${path}`));
}

const ECHARTS = "npm:echarts@6.1.0";
const RESVG = "npm:@resvg/resvg-wasm@2.6.2";
const INTER = "npm:@expo-google-fonts/inter@0.4.2";

/** The chart library (Apache ECharts), which draws a report's figures. */
export const loadCharts = (): Promise<typeof import("npm:echarts@6.1.0")> => fetchPackage(ECHARTS);

/** The chart library's build for browsers, for a page that must stand alone. */
export const chartBundleUrl = () => fetchFile(ECHARTS, "dist/echarts.common.min.js");

/** From SVG to PNG without a browser (resvg, as WebAssembly), and where its WebAssembly lies. */
export const loadImageRenderer = async () => {
  const module: typeof import("npm:@resvg/resvg-wasm@2.6.2") = await fetchPackage(RESVG);
  return { ...module, wasm: new URL(resolvePackage(`${RESVG}/index_bg.wasm`)) };
};

/** Font files for images: what a machine has installed must not decide what they look like. */
export const imageFontUrls = () =>
  Promise.all(
    ["400Regular/Inter_400Regular.ttf", "600SemiBold/Inter_600SemiBold.ttf"]
      .map((path) => fetchFile(INTER, path)),
  );

/** Drives an installed Chromium; the tests look at a report's page with it. */
export const loadBrowserDriver = (): Promise<typeof import("npm:puppeteer-core@25.16.0")> =>
  fetchPackage("npm:puppeteer-core@25.16.0");

/** Finds what keeps people with a keyboard or a screen reader from using a page; the tests ask it of a report's. */
export const loadAccessibilityRules = async (): Promise<typeof import("npm:axe-core@4.14.1")> =>
  (await fetchPackage("npm:axe-core@4.14.1")).default;

const JAX = "npm:@jax-js/jax@0.1.25";

/** JAX in TypeScript, beside which the bench times a training step. */
export const loadJax = (): Promise<typeof import("npm:@jax-js/jax@0.1.25")> => fetchPackage(JAX);

/** Reads safetensors without any of our code, for tests (JAX in TypeScript's own reader). */
export const loadSafetensorsReader = (): Promise<typeof import("npm:@jax-js/loaders@0.1.1")> =>
  fetchPackage("npm:@jax-js/loaders@0.1.1");

/** Reads texts as a Hugging Face `tokenizer.json` says (Hugging Face's own, in plain JavaScript). */
export const loadTokenizers = (): Promise<typeof import("npm:@huggingface/tokenizers@0.2.0")> =>
  fetchPackage("npm:@huggingface/tokenizers@0.2.0");
