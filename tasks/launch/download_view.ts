/**
 * What a person sees of a download: a bar on a terminal, a line for each tenth of the way in a pipe, or nothing.
 *
 * @module
 */

import { formatBytes } from "../../deps.ts";
import type { DownloadProgress } from "../data/sources/download.ts";
import { type BarArea, openBar } from "../terminal/bars.ts";
import type { ViewKind } from "./view.ts";

/** A view of one download after another. */
export interface DownloadView extends AsyncDisposable {
  /** Takes note of how far one is. */
  onProgress(progress: DownloadProgress): void;
}

/** Opens a view; nothing is shown before the first bytes have arrived. */
export function openDownloadView(
  kind: ViewKind,
  say: (line: string) => void = console.error,
): DownloadView {
  if (kind === "silent") return { onProgress() {}, async [Symbol.asyncDispose]() {} };
  return kind === "bar" ? new Bars() : new Lines(say);
}

/** How much has arrived, how fast, and how long the rest takes at this speed. */
export function describeProgress({ received, total, speed }: DownloadProgress): string[] {
  const left = total === null || !speed ? null : (total - received) / speed;
  return [
    total === null ? formatBytes(received) : `${formatBytes(received)} of ${formatBytes(total)}`,
    speed === null ? "" : `${formatBytes(speed)}/s`,
    left === null || left === 0 ? "" : `${formatTime(left)} left`,
  ].filter((part) => part !== "");
}

/** Seconds in words: `40s`, `3m20s`, `2h05m`. */
function formatTime(seconds: number): string {
  const whole = Math.ceil(seconds), two = (n: number) => String(n).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${two(Math.floor(whole % 3600 / 60))}m`;
}

class Lines implements DownloadView {
  readonly #say: (line: string) => void;
  #latest = "";
  #bytes = 0;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  onProgress(progress: DownloadProgress): void {
    const { url, received, total } = progress;
    // Where no size is known, a line for each time that as much again has arrived.
    const step = total === null
      ? received > 2 * this.#bytes ? (this.#bytes = received) : this.#bytes
      : Math.floor(10 * received / total);
    if (this.#latest === (this.#latest = `${url} ${step}`)) return;
    const share = total === null ? "" : `${10 * step} %, `;
    this.#say(`fetching ${url}: ${share}${describeProgress(progress).join(", ")}`);
  }

  async [Symbol.asyncDispose]() {}
}

class Bars implements DownloadView {
  #url = "";
  #bar: Promise<BarArea<DownloadProgress>> | undefined;
  #latest: DownloadProgress | undefined;

  onProgress(progress: DownloadProgress): void {
    const { url, received, total } = progress;
    this.#latest = progress;
    if (url !== this.#url) {
      this.#url = url;
      const before = this.#bar;
      this.#bar = (async () => {
        (await before)?.[Symbol.dispose]();
        const bar = await openBar(
          total ?? received,
          progress,
          ({ payload }) => [...describeProgress(payload), payload.url],
        );
        if (this.#latest?.url === url) bar.update(this.#latest.received, this.#latest);
        return bar;
      })();
    } else this.#bar?.then((bar) => this.#url === url && bar.update(received, progress));
  }

  async [Symbol.asyncDispose]() {
    (await this.#bar)?.[Symbol.dispose]();
  }
}
