/**
 * Fetching a file whose size and SHA-256 are known, so that what arrives is what was meant or nothing:
 * written under a temporary name beside its place, verified, renamed. What a broken line has left behind is
 * kept, and gone on from (RFC 9110, section 14: range requests).
 *
 * @module
 */

import { createHash } from "node:crypto";
import { systemReason } from "../../../runtime/base/system_error.ts";
import { delay } from "../../../deps.ts";
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
  /** Bytes that are there, those of an earlier try included. */
  readonly received: number;
  /** Bytes in all, or null while unknown. */
  readonly total: number | null;
  /** Bytes a second over this connection so far; null before the first have arrived. */
  readonly speed: number | null;
}

/** How to download. */
export interface DownloadOptions {
  /** Called after each piece that arrives, and once before the first. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Ends the download; what has arrived is kept for the next. */
  readonly signal?: AbortSignal;
  /**
   * Milliseconds in which nothing arrives before a connection is given up.
   * @default {30000}
   */
  readonly stallTimeout?: number;
}

/** Where no size is published, more than this many bytes are refused. */
const SIZE_LIMIT = 1 << 30;

/** Milliseconds before a line that broke off is taken up again. */
const RETRY_AFTER = 200;

/** What has arrived is not the file. */
class WrongBytesError extends Error {}

/**
 * Fetches `file` to `path`, whose folder exists. A line that breaks off is taken up again as long as more
 * arrives; an address that gives other bytes, or nothing, is left for the next. A file at `path` is replaced
 * only by one that was verified. What is not yet all there stays beside it, as `<path>.<hash>.part`, and the next
 * call goes on from its end.
 *
 * @throws {DataError} when no address gives the right bytes, with the reason for each, or another process is
 *   fetching the same
 */
export async function download(
  file: RemoteFile,
  path: string,
  options: DownloadOptions = {},
): Promise<void> {
  const part = `${path}.${file.sha256.slice(0, 8)}.part`;
  let kept = 0;
  const failures: string[] = [];
  try {
    using output = await openPart(part);
    const size = async () => (await output.stat()).size;
    try {
      for (const url of file.urls) {
        // Whether all that is there came from this address.
        let own = await size() === 0;
        for (;;) {
          const before = await size();
          try {
            await fetchTo(url, file, output, options);
            await output.syncData();
            return await Deno.rename(part, path);
          } catch (error) {
            options.signal?.throwIfAborted();
            const wrong = error instanceof WrongBytesError, more = await size() > before;
            if (wrong) await output.truncate(0);
            // Wrong bytes may be those of another: one try from the beginning tells.
            const again = wrong ? !own : more;
            own ||= wrong;
            if (again) {
              await delay(RETRY_AFTER, options.signal ? { signal: options.signal } : {});
              continue;
            }
            failures.push(`${url}: ${error instanceof Error ? error.message : error}`);
            break;
          }
        }
      }
    } finally {
      kept = await size();
    }
  } catch (error) {
    // A disk that is full or closed to us is no fault of the address.
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    throw new DataError(`cannot write ${part}: ${systemReason(error)}`, {
      path: part,
      cause: error,
    });
  } finally {
    if (kept === 0) await Deno.remove(part).catch(() => {});
  }
  throw new DataError(
    `cannot download ${path}: ${failures.join("; ")}. ` +
      (kept > 0
        ? `The ${kept} bytes that arrived are in ${part}; asked again, it goes on from there. `
        : "") +
      `Fetch it by another way and check its SHA-256, ${file.sha256}`,
    { path },
  );
}

/** Opens what has arrived of a file, for this process alone. Throws DataError if another has it. */
async function openPart(path: string): Promise<Deno.FsFile> {
  for (;;) {
    const file = await Deno.open(path, { read: true, write: true, create: true });
    if (!await file.tryLock(true)) {
      file.close();
      throw new DataError(`${path} is being fetched by another process: wait for its end`, {
        path,
      });
    }
    // Who held the lock before may have renamed the file between the two calls.
    const { ino } = await file.stat(), current = await Deno.stat(path).catch(() => null);
    if (current?.ino === ino) return file;
    file.close();
  }
}

/** Fetches what is missing of a file from one address, and throws unless all bytes are the right ones. */
async function fetchTo(
  url: string,
  file: RemoteFile,
  output: Deno.FsFile,
  options: DownloadOptions,
): Promise<void> {
  const { onProgress, signal, stallTimeout = 30_000 } = options;
  let received = (await output.stat()).size, hash = await hashOf(output);
  if (file.bytes !== null && received > file.bytes) {
    throw new WrongBytesError(`${received} bytes are there, the file has ${file.bytes}`);
  }
  const verify = () => {
    const found = hash.copy().digest("hex");
    if (found === file.sha256.toLowerCase()) return;
    throw new WrongBytesError(
      `SHA-256 ${file.sha256} is required, found ${found} in ${received} bytes`,
    );
  };
  if (received > 0 && received === file.bytes) return verify();
  const stalled = new AbortController();
  const stop = () =>
    stalled.abort(new Error(`nothing arrived for ${(stallTimeout / 1000).toFixed(1)} s`));
  let timer = setTimeout(stop, stallTimeout);
  try {
    const response = await fetch(url, {
      signal: signal ? AbortSignal.any([signal, stalled.signal]) : stalled.signal,
      headers: {
        // The file as it is: a gzip archive that the transfer unpacked would not match its hash.
        "accept-encoding": "identity",
        "user-agent": "Mozilla/5.0 (compatible; celgc)",
        ...received > 0 ? { range: `bytes=${received}-` } : {},
      },
    });
    if (response.status === 416) {
      await response.body?.cancel();
      throw new WrongBytesError(`the server has no more than the ${received} bytes that are there`);
    }
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new Error(`the server answered ${response.status} ${response.statusText}`.trim());
    }
    if (response.status === 206) {
      const range = response.headers.get("content-range") ?? "";
      if (!range.startsWith(`bytes ${received}-`)) {
        await response.body.cancel();
        throw new Error(`asked for bytes from ${received} on, the server sends "${range}"`);
      }
    } else if (received > 0) {
      // It gives the whole file or nothing.
      await output.truncate(0);
      [received, hash] = [0, createHash("sha256")];
    }
    const announced = Number(response.headers.get("content-length") ?? NaN) + received;
    const total = file.bytes ?? (announced > 0 ? announced : null);
    if (file.bytes !== null && announced >= 0 && announced !== file.bytes) {
      await response.body.cancel();
      throw new Error(`the server offers ${announced} bytes, the file has ${file.bytes}`);
    }
    const start = performance.now(), first = received;
    onProgress?.({ url, received, total, speed: null });
    await output.seek(received, Deno.SeekMode.Start);
    for await (const piece of response.body) {
      clearTimeout(timer);
      timer = setTimeout(stop, stallTimeout);
      received += piece.length;
      if (received > (file.bytes ?? SIZE_LIMIT)) {
        throw new WrongBytesError(`more than ${file.bytes ?? SIZE_LIMIT} bytes arrived`);
      }
      hash.update(piece);
      for (let at = 0; at < piece.length;) at += await output.write(piece.subarray(at));
      const seconds = Math.max(1, performance.now() - start) / 1000;
      onProgress?.({ url, received, total, speed: (received - first) / seconds });
    }
    if (file.bytes !== null && received !== file.bytes) {
      throw new Error(`${received} of ${file.bytes} bytes arrived`);
    }
    verify();
  } finally {
    clearTimeout(timer);
  }
}

/** The hash of what is in a file, to be gone on with. */
async function hashOf(file: Deno.FsFile) {
  const hash = createHash("sha256"), piece = new Uint8Array(1 << 16);
  await file.seek(0, Deno.SeekMode.Start);
  for (let read = await file.read(piece); read !== null; read = await file.read(piece)) {
    hash.update(piece.subarray(0, read));
  }
  return hash;
}
