/**
 * Fetching a file whose size and SHA-256 are known, so that what arrives is what was meant or nothing:
 * written under a temporary name beside its place, verified, renamed.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { DataError } from "../data_error.ts";

/** A file on the network and what it must be. */
export interface RemoteFile {
  /** Where it is: tried in this order until one gives the right bytes. */
  readonly urls: readonly string[];
  /** Its size in bytes; null where none is published. */
  readonly bytes: number | null;
  /** Its SHA-256, in hexadecimal. */
  readonly sha256: string;
}

/** How far a download is. */
export interface DownloadProgress {
  /** Where from. */
  readonly url: string;
  /** Bytes received. */
  readonly received: number;
  /** Bytes in all, or null while unknown. */
  readonly total: number | null;
}

/** How to download. */
export interface DownloadOptions {
  /** Called after each piece that arrives, and once before the first. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Ends the download; what has arrived is removed. */
  readonly signal?: AbortSignal;
  /**
   * Milliseconds in which nothing arrives before an address is given up.
   * @default {30000}
   */
  readonly stallTimeout?: number;
}

/** Where no size is published, more than this many bytes are refused. */
const SIZE_LIMIT = 1 << 30;

/**
 * Fetches `file` to `path`, whose folder exists. Nothing is left behind when it fails, and a file at
 * `path` is replaced only by one that was verified.
 *
 * @throws {DataError} when no address gives the right bytes, with the reason for each
 */
export async function download(
  file: RemoteFile,
  path: string,
  options: DownloadOptions = {},
): Promise<void> {
  const part = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
  const failures: string[] = [];
  for (const url of file.urls) {
    try {
      await fetchTo(url, file, part, options);
      await Deno.rename(part, path);
      return;
    } catch (error) {
      await Deno.remove(part).catch(() => {});
      options.signal?.throwIfAborted();
      // A disk that is full or closed to us is no fault of the address.
      if (error instanceof Deno.errors.PermissionDenied) {
        throw new DataError(`cannot write ${part}: ${error.message}`, { path: part, cause: error });
      }
      failures.push(`${url}: ${error instanceof Error ? error.message : error}`);
    }
  }
  throw new DataError(
    `cannot download ${path}: ${failures.join("; ")}. Fetch it by another way and check its ` +
      `SHA-256, ${file.sha256}`,
    { path },
  );
}

/** Fetches one address to `path`, and throws unless the bytes are the right ones. */
async function fetchTo(
  url: string,
  file: RemoteFile,
  path: string,
  options: DownloadOptions,
): Promise<void> {
  const { onProgress, signal, stallTimeout = 30_000 } = options;
  const stalled = new AbortController();
  const stop = () =>
    stalled.abort(new Error(`nothing arrived for ${(stallTimeout / 1000).toFixed(1)} s`));
  let timer = setTimeout(stop, stallTimeout);
  try {
    const response = await fetch(url, {
      signal: signal ? AbortSignal.any([signal, stalled.signal]) : stalled.signal,
      // The file as it is: a gzip archive that the transfer unpacked would not match its hash.
      headers: { "accept-encoding": "identity", "user-agent": "Mozilla/5.0 (compatible; celgc)" },
    });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new Error(`the server answered ${response.status} ${response.statusText}`.trim());
    }
    const announced = Number(response.headers.get("content-length") ?? NaN);
    const total = file.bytes ?? (announced > 0 ? announced : null);
    if (file.bytes !== null && announced >= 0 && announced !== file.bytes) {
      await response.body.cancel();
      throw new Error(`the server offers ${announced} bytes, the file has ${file.bytes}`);
    }
    const hash = createHash("sha256");
    let received = 0;
    onProgress?.({ url, received, total });
    using output = await Deno.open(path, { write: true, createNew: true });
    for await (const piece of response.body) {
      clearTimeout(timer);
      timer = setTimeout(stop, stallTimeout);
      received += piece.length;
      if (received > (file.bytes ?? SIZE_LIMIT)) {
        throw new Error(`more than ${file.bytes ?? SIZE_LIMIT} bytes arrived`);
      }
      hash.update(piece);
      for (let at = 0; at < piece.length;) at += await output.write(piece.subarray(at));
      onProgress?.({ url, received, total });
    }
    if (file.bytes !== null && received !== file.bytes) {
      throw new Error(`${received} of ${file.bytes} bytes arrived`);
    }
    const found = hash.digest("hex");
    if (found !== file.sha256.toLowerCase()) {
      throw new Error(`SHA-256 ${file.sha256} is required, found ${found} in ${received} bytes`);
    }
    await output.syncData();
  } finally {
    clearTimeout(timer);
  }
}
