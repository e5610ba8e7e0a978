/**
 * Taking known files out of a tar.gz or zip archive. Only files that are asked for by their exact name
 * are written, and to names of our own, so an archive cannot write anywhere else.
 *
 * @module
 */

import { loadTar, loadZip } from "../../deps.ts";
import { DataError } from "./data_error.ts";

/** A file inside an archive and where it goes. */
export interface ArchiveMember {
  /** Its path inside the archive, such as `cifar-10-batches-bin/test_batch.bin`. */
  readonly name: string;
  /** Where it is written. */
  readonly path: string;
  /** Its size in bytes, where that is known. */
  readonly bytes?: number;
}

/**
 * Unpacks `members` from the archive at `path`. Each is written under a temporary name and renamed once
 * all are complete; a file that exists already is replaced.
 *
 * @param path an archive whose name ends in `.tar.gz`, `.tgz` or `.zip`
 * @throws {DataError} when the archive is damaged or lacks a member, or a member has another size
 */
export async function unpack(path: string, members: readonly ArchiveMember[]): Promise<void> {
  const zip = path.endsWith(".zip");
  if (!zip && !/\.(tar\.gz|tgz)$/.test(path)) {
    throw new RangeError(`an archive's name ends in .tar.gz, .tgz or .zip, not as ${path}`);
  }
  const part = `.${crypto.randomUUID().slice(0, 8)}.part`;
  const wanted = new Map(members.map((member) => [member.name, member]));
  const written = new Set<ArchiveMember>();
  try {
    try {
      for await (
        const { name, body } of zip ? zipEntries(path, wanted) : tarEntries(path, wanted)
      ) {
        const member = wanted.get(name)!;
        await Deno.writeFile(member.path + part, body);
        written.add(member);
      }
    } catch (cause) {
      if (cause instanceof Deno.errors.PermissionDenied) throw cause;
      throw new DataError(
        `cannot unpack ${path}: ${
          cause instanceof Error ? cause.message : cause
        }; the archive is ` +
          `damaged, fetch it again`,
        { path, cause },
      );
    }
    for (const member of members) {
      const fault = !written.has(member)
        ? `it holds no ${member.name}`
        : await sizeFault(member, member.path + part);
      if (fault !== null) {
        throw new DataError(`cannot unpack ${path}: ${fault}; it is another archive`, { path });
      }
    }
    for (const member of members) await Deno.rename(member.path + part, member.path);
  } finally {
    for (const member of members) await Deno.remove(member.path + part).catch(() => {});
  }
}

async function sizeFault(member: ArchiveMember, path: string): Promise<string | null> {
  const { size } = await Deno.stat(path);
  return member.bytes === undefined || size === member.bytes
    ? null
    : `its ${member.name} has ${size} bytes, ${member.bytes} are required`;
}

interface Entry {
  name: string;
  body: Uint8Array | ReadableStream<Uint8Array>;
}

async function* tarEntries(path: string, wanted: Map<string, unknown>): AsyncGenerator<Entry> {
  const { createTarDecoder } = await loadTar();
  const file = await Deno.open(path);
  const entries = file.readable
    .pipeThrough(new DecompressionStream("gzip"))
    .pipeThrough(createTarDecoder({ strict: true }));
  for await (const { header, body } of entries) {
    const name = header.name.replace(/^\.\//, "");
    if (wanted.has(name) && (header.type ?? "file") === "file") yield { name, body };
    else await body.cancel();
  }
}

async function* zipEntries(path: string, wanted: Map<string, unknown>): AsyncGenerator<Entry> {
  const { unzipSync } = await loadZip();
  const files = unzipSync(await Deno.readFile(path), { filter: ({ name }) => wanted.has(name) });
  for (const [name, body] of Object.entries(files)) yield { name, body };
}
