/**
 * The folder of a cell: an ordinary run's, with a `cell.json` beside that says whose run it is, how it
 * went, and what its files were when it ended.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { optionsOf, readConfigFile } from "../logs/config.ts";
import { LogError } from "../logs/log_error.ts";
import { findChange } from "../run/inputs.ts";
import { OptionError } from "../options/kinds.ts";
import { CHECKPOINT_FOLDER } from "../run/checkpoint.ts";
import { FILES, INPUT_FILE_NAMES } from "../run/folder.ts";
import { EVENT_FOLDER } from "../tensorboard/event_log.ts";
import { type Cell, CELL_FORMAT, distinctName, hashOfRun } from "./cells.ts";

/** Name of the file that makes a run's folder a cell's. */
const CELL_FILE = "cell.json";

/** The content of `cell.json`. */
export interface CellRecord {
  readonly format: number;
  readonly name: string;
  /** See {@linkcode Cell.hash}. */
  readonly hash: string;
  readonly at: Readonly<Record<string, unknown>>;
  readonly status: "started" | "finished" | "failed";
  /** Why it failed. */
  readonly message?: string;
  /** The run's files when it ended, by name: SHA-256 in hexadecimal. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Writes a file whole: under another name first, then renamed. */
export async function writeWhole(path: string, content: string): Promise<void> {
  await Deno.writeTextFile(`${path}.part`, content);
  await Deno.rename(`${path}.part`, path);
}

/** What to say of an `--out` that is a file. */
export function notAFolder(path: string, cause?: unknown): OptionError {
  return new OptionError(`--out must be a folder, not the file ${path}`, { cause });
}

/** What a sweep's folder holds already. */
export class CellFolders {
  readonly #root: string;
  /** The cells' folders by the hash that was written, and by the one that their options have here. */
  readonly #byHash = new Map<string, { folder: string; record: CellRecord }>();
  /** Names that are taken, in lower case. */
  readonly #taken = new Set<string>();

  private constructor(root: string) {
    this.#root = root;
  }

  /** Looks through a sweep's folder, which need not exist yet. */
  static async open(root: string): Promise<CellFolders> {
    const folders = new CellFolders(root);
    try {
      for await (const { name } of Deno.readDir(root)) {
        folders.#taken.add(name.toLowerCase());
        const record = await readRecord(join(root, name));
        if (!record) continue;
        for (const hash of new Set([record.hash, await hashOfFolder(join(root, name))])) {
          if (hash === null || folders.#byHash.get(hash)?.record.status === "finished") continue;
          folders.#byHash.set(hash, { folder: name, record });
        }
      }
    } catch (error) {
      if (error instanceof Deno.errors.NotADirectory) throw notAFolder(root, error);
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return folders;
  }

  /**
   * The folder of a cell: the one that holds it already, under whatever name, or one that is still
   * free. What other options have left in the same folder is not touched.
   *
   * @returns its path; whether the cell's run is in it, finished, and as it was written; and if it is
   *   there but cannot be used, why
   */
  async find(cell: Cell): Promise<{ path: string; finished: boolean; damage: string | null }> {
    const known = this.#byHash.get(cell.hash);
    if (known) {
      const path = join(this.#root, known.folder);
      const finished = known.record.status === "finished";
      const damage = finished
        ? await findDamage(path, known.record) ?? await findChange(path, cell.options)
        : null;
      return { path, finished: finished && damage === null, damage };
    }
    let folder = cell.name;
    for (let copy = 1; this.#taken.has(folder.toLowerCase()); copy++) {
      folder = `${distinctName(cell)}${copy > 1 ? `-${copy}` : ""}`;
    }
    return { path: join(this.#root, folder), finished: false, damage: null };
  }
}

/** The folder's `cell.json`; null if there is none, or none that can be used. */
async function readRecord(path: string): Promise<CellRecord | null> {
  try {
    const record = JSON.parse(await Deno.readTextFile(join(path, CELL_FILE)));
    return record?.format === CELL_FORMAT && typeof record.hash === "string" ? record : null;
  } catch (error) {
    const absent = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    if (absent || error instanceof SyntaxError) return null;
    throw error;
  }
}

/**
 * The hash of a cell by what its run's options mean: the one that was written is another where options had
 * other defaults, or were hashed otherwise. Null where its options cannot be read.
 */
async function hashOfFolder(path: string): Promise<string | null> {
  try {
    return hashOfRun(optionsOf(await readConfigFile(path)));
  } catch (error) {
    if (error instanceof LogError) return null;
    throw error;
  }
}

/** What has happened to a finished run's files since; null if nothing has. */
async function findDamage(path: string, { files = {} }: CellRecord): Promise<string | null> {
  // Some runs leave a file that others do not.
  for (const [name, expected] of Object.entries(files)) {
    const hash = await hashOfFile(join(path, name));
    if (hash === null) return `${name} is missing`;
    if (hash !== expected) return `${name} was altered`;
  }
  return null;
}

/** SHA-256 of a file; null if there is none. */
async function hashOfFile(path: string): Promise<string | null> {
  try {
    using file = await Deno.open(path);
    const hash = createHash("sha256"), chunk = new Uint8Array(1 << 20);
    for (let n = await file.read(chunk); n !== null; n = await file.read(chunk)) {
      hash.update(chunk.subarray(0, n));
    }
    return hash.digest("hex");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Makes a cell's folder ready for its run; an earlier run of the same cell is removed. */
export async function beginCell(path: string, cell: Cell): Promise<void> {
  await Deno.mkdir(path, { recursive: true });
  // First, so that a sweep which ends here takes the folder for its own the next time.
  await writeRecord(path, cell, { status: "started" });
  const names = [...Object.values(FILES), ...Object.values(INPUT_FILE_NAMES)];
  for (const name of [...names, CHECKPOINT_FOLDER, EVENT_FOLDER]) {
    await Deno.remove(join(path, name), { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

/** Notes that a cell's run has ended well. */
export async function finishCell(path: string, cell: Cell): Promise<void> {
  const files: Record<string, string> = {};
  for (const name of Object.values(FILES)) {
    const hash = await hashOfFile(join(path, name));
    if (hash !== null) files[name] = hash;
  }
  await writeRecord(path, cell, { status: "finished", files });
}

/** Notes that a cell's run has failed. */
export async function failCell(path: string, cell: Cell, message: string): Promise<void> {
  await writeRecord(path, cell, { status: "failed", message });
}

async function writeRecord(
  path: string,
  { name, hash, at }: Cell,
  rest: Pick<CellRecord, "status" | "message" | "files">,
): Promise<void> {
  const record: CellRecord = { format: CELL_FORMAT, name, hash, at, ...rest };
  await writeWhole(join(path, CELL_FILE), JSON.stringify(record, null, 2) + "\n");
}
