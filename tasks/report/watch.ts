/**
 * A report on runs that go on: the page is served on loopback and asks for what changed.
 *
 * @module
 */

import { type ReportData, reportData } from "./report_data.ts";
import { findRuns } from "../logs/find_runs.ts";
import { type PageParts, renderPage, renderParts } from "./html.ts";
import { ReportError } from "./report_error.ts";
import { RunLog } from "../logs/run_log.ts";

/** How a report is served. */
export interface WatchOptions {
  /** Heading of the page. */
  readonly title: string;
  /** Port on 127.0.0.1. @default {0} any that is free */
  readonly port?: number;
  /** Milliseconds between two questions of the page. @default {2000} */
  readonly everyMs?: number;
}

/** A report that is being served. */
export interface ReportServer extends AsyncDisposable {
  /** The page's address. */
  readonly url: string;
  /** Resolves when the server has ended. */
  readonly finished: Promise<void>;
}

/** What the page is sent when something has changed. */
interface Fresh {
  readonly version: string;
  readonly data: ReportData;
  readonly parts: PageParts;
}

/**
 * Serves the report of the runs in some folders until it is disposed. Folders in which no run has begun
 * yet are waited for.
 *
 * Only 127.0.0.1 is listened on, and a request must name it as its host: a page elsewhere cannot
 * reach the logs by pointing a name of its own at this machine.
 *
 * @throws {LogError} if there is no such folder, or a run in it cannot be read
 * @throws {ReportError} if the port is taken
 */
export async function watchReport(
  directories: readonly string[],
  options: WatchOptions,
): Promise<ReportServer> {
  const everyMs = options.everyMs ?? 2000;
  const runs = new WatchedRuns(directories);
  await runs.fresh();
  const handle = async (request: Request) => {
    const url = new URL(request.url);
    if (!["127.0.0.1", "localhost"].includes(url.hostname)) return text(421, "not a host of mine");
    if (request.method !== "GET") return text(405, "only GET is answered");
    if (url.pathname === "/") {
      const { data } = await runs.fresh();
      const page = await renderPage(data, {
        title: options.title,
        made: new Date(),
        watchMs: everyMs,
      });
      return answer(page, "text/html; charset=utf-8");
    }
    if (url.pathname === "/data.json") {
      const { version, data, parts } = await runs.fresh();
      if (request.headers.get("if-none-match") === version) {
        return new Response(null, { status: 304 });
      }
      const body = JSON.stringify({ data: data.page, parts });
      return answer(body, "application/json", { etag: version });
    }
    return text(404, "there is only / here");
  };
  const server = listen(options.port ?? 0, handle);
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    finished: server.finished,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function listen(
  port: number,
  handle: (request: Request) => Promise<Response>,
): Deno.HttpServer<Deno.NetAddr> {
  const onError = (error: unknown) =>
    text(500, error instanceof Error ? error.message : String(error));
  try {
    return Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {}, onError }, handle);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new ReportError(
      `cannot serve the report on port ${port}: another program listens there; choose another, or 0`,
    );
  }
}

/** The logs, read on as they grow; runs that begin later are found. */
class WatchedRuns {
  readonly #directories: readonly string[];
  readonly #logs = new Map<string, RunLog>();
  #latest: Fresh | null = null;
  #reading: Promise<Fresh> | null = null;
  #version = 0;
  #states = "";

  constructor(directories: readonly string[]) {
    this.#directories = directories;
  }

  /** The report as of now. Requests that come while it is being made share it. */
  fresh(): Promise<Fresh> {
    return this.#reading ??= this.#read().finally(() => this.#reading = null);
  }

  async #read(): Promise<Fresh> {
    const found = await findRuns(this.#directories, { wait: true });
    const now = new Date();
    let changed = this.#latest === null;
    for (const path of this.#logs.keys()) {
      if (!found.includes(path)) changed = this.#logs.delete(path);
    }
    for (const path of found) {
      const log = this.#logs.get(path);
      if (log) {
        if (await log.refresh()) changed = true;
      } else {
        this.#logs.set(path, await RunLog.open(path));
        changed = true;
      }
    }
    // A run that is no longer written to ends early without a change of its log.
    const states = [...this.#logs.values()].map((log) => log.stateAt(now)).join();
    if (changed || this.#latest === null || states !== this.#states) {
      this.#states = states;
      const data = reportData(found.map((path) => this.#logs.get(path)!), now);
      const version = `"${++this.#version}"`;
      this.#latest = { version, data, parts: renderParts(data, now) };
    }
    return this.#latest;
  }
}

function answer(body: string, type: string, headers: Record<string, string> = {}): Response {
  return new Response(body, {
    headers: {
      "content-type": type,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      ...headers,
    },
  });
}

function text(status: number, message: string): Response {
  return new Response(`${message}\n`, { status, headers: { "content-type": "text/plain" } });
}
