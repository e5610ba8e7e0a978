/** A world as the platform that the runtime asks: of whichever process goes on. */

import { createHash } from "node:crypto";
import type { Platform, Timer } from "../../runtime/base/platform.ts";
import { FileNode, type FolderNode } from "./_disk.ts";
import { Network, never } from "./_network.ts";
import { type Process, ProcessEnded, type World } from "./_world.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const bytesOf = (text: string) => new TextEncoder().encode(text) as Bytes;

/** A timer of a process. */
class SimulatedTimer {
  cancel: () => void = () => {};
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

/** An open file or folder. */
class SimulatedFile {
  readonly #files: Files;
  readonly #node: FileNode | FolderNode;
  readonly #append: boolean;
  #at = 0;

  constructor(files: Files, node: FileNode | FolderNode, append: boolean) {
    this.#files = files;
    this.#node = node;
    this.#append = append;
  }

  get #file(): FileNode {
    if (this.#node instanceof FileNode) return this.#node;
    throw new Deno.errors.IsADirectory("Is a directory (os error 21)");
  }

  write(bytes: Uint8Array): Promise<number> {
    const some = () => this.#put(bytes.subarray(0, this.#files.world.pick(bytes.length)));
    return this.#files.later("write", () => this.#put(bytes), some);
  }

  writeSync(bytes: Uint8Array): number {
    const { world } = this.#files,
      some = () => this.#put(bytes.subarray(0, world.pick(bytes.length)));
    return world.call(some) ? this.#put(bytes) : bytes.length;
  }

  #put(bytes: Uint8Array): number {
    const file = this.#file, at = this.#append ? file.bytes.length : this.#at;
    const n = this.#files.disk.write(file, at, bytes);
    this.#at = at + n;
    return n;
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.#files.later("read", () => this.#take(into));
  }

  readSync(into: Uint8Array): number | null {
    return this.#take(into);
  }

  #take(into: Uint8Array): number | null {
    const part = this.#file.bytes.subarray(this.#at, this.#at + into.length);
    into.set(part);
    this.#at += part.length;
    return part.length === 0 && into.length > 0 ? null : part.length;
  }

  sync(): Promise<void> {
    return this.#files.later("sync", () => this.#files.disk.sync(this.#node));
  }

  syncSync(): void {
    if (this.#files.world.call()) this.#files.disk.sync(this.#node);
  }

  syncData(): Promise<void> {
    return this.sync();
  }

  stat(): Promise<Deno.FileInfo> {
    return this.#files.later("stat", () => infoOf(this.#node));
  }

  statSync(): Deno.FileInfo {
    return infoOf(this.#node);
  }

  seekSync(offset: number): number {
    return this.#at = offset;
  }

  truncateSync(length: number): void {
    if (this.#files.world.call()) this.#file.bytes = this.#file.bytes.slice(0, length);
  }

  close(): void {}
  [Symbol.dispose](): void {}
}

function infoOf(node: FileNode | FolderNode): Deno.FileInfo {
  const isFile = node instanceof FileNode;
  return {
    isFile,
    isDirectory: !isFile,
    isSymlink: false,
    size: isFile ? node.bytes.length : 0,
    mode: isFile ? node.mode : 0o755,
    uid: Deno.uid(),
    dev: 1,
    ino: node.id,
    mtime: null,
  } as Deno.FileInfo;
}

/** Calls of the file system, each of which takes its time. */
class Files {
  readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  get disk() {
    return this.world.current!.host.disk;
  }

  /** Does something when the disk has come to it; a process that is killed meanwhile has not done it. */
  later<T>(label: string, act: () => T, lastWords?: () => void): Promise<T> {
    const { world } = this;
    if (!world.call(lastWords)) return never();
    const { promise, resolve, reject } = Promise.withResolvers<T>(), { disk } = this;
    world.at(
      world.random.uniform() * (label === "sync" ? disk.syncMs : disk.callMs),
      world.current,
      label,
      () => {
        try {
          resolve(act());
        } catch (error) {
          reject(error);
        }
      },
    );
    return promise;
  }

  async writeFile(path: string, bytes: Bytes, options: Deno.WriteFileOptions = {}) {
    const { append = false, create = true, createNew = false, mode } = options;
    const file = await this.later("open", () =>
      this.disk.open(path, {
        write: true,
        append,
        create,
        createNew,
        truncate: !append,
        mode,
      }));
    const open = new SimulatedFile(this, file, append);
    for (let left: Uint8Array = bytes; left.length > 0;) {
      left = left.subarray(await open.write(left));
    }
  }

  async remove(path: string, recursive: boolean) {
    if (!recursive) return await this.later("remove", () => this.disk.remove(path, false));
    // One after the other: who is killed meanwhile leaves some.
    const paths = await this.later("remove", () => this.disk.under(path));
    for (const each of paths) {
      await this.later("remove", () => this.disk.remove(each, false));
    }
  }

  async *readDir(path: string): AsyncIterable<Deno.DirEntry> {
    const entries = await this.later("readdir", () => [...this.disk.folder(path).entries]);
    for (const [name, node] of entries) {
      const isFile = node instanceof FileNode;
      yield { name, isFile, isDirectory: !isFile, isSymlink: false };
    }
  }
}

/** The platform of a world's processes. */
export function platformOf(world: World): Platform {
  const network = new Network(world), files = new Files(world);
  const asker = (): Process => world.current ?? unasked();
  const tick = (process: Process, ms: number, act: () => void, again: boolean) => {
    const timer = new SimulatedTimer();
    const arm = () => {
      timer.cancel = world.at(ms, process, "timer", () => {
        if (again) arm();
        else process.timers.delete(timer);
        act();
      });
    };
    process.timers.add(timer);
    arm();
    return timer as unknown as Timer;
  };
  const cancel = (timer: Timer | undefined) => {
    if (timer === undefined) return;
    (timer as unknown as SimulatedTimer).cancel();
    asker().timers.delete(timer);
  };
  // What is done at once would be done by a process that has just been killed as well.
  const expectAlive = () => {
    if (world.current?.isAlive === false) throw new ProcessEnded(world.current.end!);
  };
  const simulated = {
    get pid() {
      return 1000 + asker().id;
    },
    now: () => world.now + (world.current?.clockOffset ?? 0),
    setTimeout: (act: (nothing: undefined) => void, ms: number) =>
      tick(asker(), Math.max(0, ms), () => act(undefined), false),
    clearTimeout: cancel,
    setInterval: (act: () => void, ms: number) => tick(asker(), Math.max(1, ms), act, true),
    clearInterval: cancel,
    getRandomValues(array: Uint8Array | Uint32Array) {
      for (let i = 0; i < array.length; i++) array[i] = world.random.bits();
      return array;
    },
    exit(code: number): never {
      if (world.current !== null) world.kill(world.current, `exit ${code}`);
      throw new ProcessEnded(`exit ${code}`);
    },
    connect: (options: Parameters<Network["connect"]>[0]) => network.connect(options),
    listen: (options: Parameters<Network["listen"]>[0]) => network.listen(options),
    open: async (path: string, options: Deno.OpenOptions = { read: true }) => {
      const node = await files.later("open", () => files.disk.open(path, options));
      return new SimulatedFile(files, node, options.append ?? false);
    },
    openSync(path: string, options: Deno.OpenOptions = { read: true }) {
      expectAlive();
      return new SimulatedFile(files, files.disk.open(path, options), options.append ?? false);
    },
    readFile: (path: string) => files.later("read", () => files.disk.file(path).bytes.slice()),
    readTextFile: (path: string) =>
      files.later("read", () => new TextDecoder().decode(files.disk.file(path).bytes)),
    readTextFileSync: (path: string) => new TextDecoder().decode(files.disk.file(path).bytes),
    writeFile: (path: string, bytes: Bytes, options?: Deno.WriteFileOptions) =>
      files.writeFile(path, bytes, options),
    writeTextFile: (path: string, data: string, options?: Deno.WriteFileOptions) =>
      files.writeFile(path, bytesOf(data), options),
    mkdir: (path: string, { recursive = false }: Deno.MkdirOptions = {}) =>
      files.later("mkdir", () => files.disk.makeFolder(path, recursive)),
    rename: (from: string, to: string) => files.later("rename", () => files.disk.rename(from, to)),
    remove: (path: string, { recursive = false }: Deno.RemoveOptions = {}) =>
      files.remove(path, recursive),
    removeSync(path: string) {
      expectAlive();
      files.disk.remove(path, false);
    },
    readDir: (path: string) => files.readDir(path),
    stat: (path: string) => files.later("stat", () => infoOf(files.disk.find(path))),
    lstat: (path: string) => files.later("stat", () => infoOf(files.disk.find(path))),
    subtle: {
      // Done at once: when a thread of the system would be done is not for the seed to say.
      digest: (_: string, bytes: Bytes) =>
        Promise.resolve(new Uint8Array(createHash("sha256").update(bytes).digest()).buffer),
      importKey: (_: string, raw: Bytes) => Promise.resolve(raw),
      sign: (_: string, key: Bytes, bytes: Bytes) => Promise.resolve(hash(key, bytes).buffer),
      verify: (_: string, key: Bytes, proof: Bytes, bytes: Bytes) =>
        Promise.resolve(hash(key, bytes).every((byte, i) => byte === proof[i])),
    },
  };
  return simulated as unknown as Platform;
}

/** Stands for HMAC where nobody attacks: 32 bytes that every byte given and its place decide. */
function hash(...parts: readonly Bytes[]): Bytes {
  const state = new Uint32Array(8);
  let sum = 0x811c9dc5;
  for (const part of parts) {
    for (const byte of part) sum = Math.imul(sum ^ byte, 0x01000193);
    sum = Math.imul(sum ^ part.length, 0x85ebca6b) ^ sum >>> 15;
  }
  for (let i = 0; i < state.length; i++) {
    state[i] = sum = Math.imul(sum ^ sum >>> 13, 0xc2b2ae35) + 0x9e3779b9;
  }
  return new Uint8Array(state.buffer);
}

function unasked(): never {
  throw new Error(
    "something goes on in no process: it has waited for what the world does not know",
  );
}
