/**
 * An installed Chromium, driven by the tests.
 *
 * @module
 */

import { loadBrowserDriver } from "../../../deps.ts";

type Browser = Awaited<ReturnType<Awaited<ReturnType<typeof loadBrowserDriver>>["launch"]>>;

/** A page of the browser. */
export type BrowserPage = Awaited<ReturnType<Browser["newPage"]>>;

/** Where Chromium is installed; null if it is not. */
export function findChromium(): string | null {
  const folders = (Deno.env.get("PATH") ?? "").split(Deno.build.os === "windows" ? ";" : ":");
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    for (const folder of folders) {
      try {
        if (Deno.statSync(`${folder}/${name}`).isFile) return `${folder}/${name}`;
      } catch { /* not there */ }
    }
  }
  return null;
}

/** What a page did that it should not, and what it asked for. */
export interface Watched {
  readonly page: BrowserPage;
  /**
   * Errors and warnings on the console, uncaught ones and those of the content security policy
   * included.
   */
  readonly complaints: string[];
  /** Addresses asked for, data inside the page left out. */
  readonly requests: string[];
}

/** A browser of its own, with an empty profile, that ends with the block. */
export async function startBrowser(
  executablePath: string,
): Promise<AsyncDisposable & { open(): Promise<Watched> }> {
  const driver = await loadBrowserDriver();
  const profile = await Deno.makeTempDir();
  const browser = await driver.launch({
    executablePath,
    userDataDir: profile,
    args: [
      // Chromium's sandbox refuses to run as root, as tests do in a container.
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  return {
    async open() {
      const page = await browser.newPage();
      const complaints: string[] = [], requests: string[] = [];
      page.on("console", (message) => {
        if (["error", "warn"].includes(message.type())) complaints.push(message.text());
      });
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("request", (request) => {
        if (!request.url().startsWith("data:")) requests.push(request.url());
      });
      return { page, complaints, requests };
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
      await Deno.remove(profile, { recursive: true });
    },
  };
}
