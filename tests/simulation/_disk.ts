/**
 * A disk as POSIX promises it, and no better: what has been written is there for every process of the host at
 * once, and survives a loss of power only as far as it was synced. A file's name is its folder's, and is synced
 * with that; a rename happens or does not; of a file that was not synced any sectors may be there.
 */

import type { World } from "./_world.ts";

/** Bytes that are written together or not at all; small, so that small files tear. */
const SECTOR = 64;

let nodes = 0;

/** A file's content. */
export class FileNode {
  readonly id = ++nodes;
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** What survives a loss of power for certain; the same array as long as nothing has changed since. */
  synced: Uint8Array<ArrayBuffer> = this.bytes;
  mode = 0o644;
}

/** A folder's entries. */
export class FolderNode {
  readonly id = ++nodes;
  entries = new Map<string, Node>();
  synced = new Map<string, Node>();
}

type Node = FileNode | FolderNode;

/** A change of folders that is not synced. */
interface Change {
  readonly folders: readonly FolderNode[];
  /** Makes it in what survives. */
  readonly apply: () => void;
}

/** The files of one host. */
export class Disk {
  readonly #world: World;
  #root = new FolderNode();
  #changes: Change[] = [];
  /** Most bytes in files. */
  capacity = Infinity;
  /** Whether changes of folders reach the disk in their order, and earlier ones with every sync (journals do that). */
  isOrdered = true;
  /** Time of a call, and of a sync, in ms: at most. */
  callMs = 0.1;
  syncMs = 5;

  constructor(world: World) {
    this.#world = world;
  }

  /** Bytes in all files that have a name. */
  get used(): number {
    const sizeOf = (node: Node): number =>
      node instanceof FileNode
        ? node.bytes.length
        : [...node.entries.values()].reduce((sum, each) => sum + sizeOf(each), 0);
    return sizeOf(this.#root);
  }

  /** What is there. */
  find(path: string): Node {
    let node: Node = this.#root;
    for (const name of partsOf(path)) {
      const next: Node | undefined = node instanceof FolderNode
        ? node.entries.get(name)
        : undefined;
      if (next === undefined) throw notFound(path);
      node = next;
    }
    return node;
  }

  folder(path: string): FolderNode {
    const node = this.find(path);
    if (node instanceof FolderNode) return node;
    throw new Deno.errors.NotADirectory(`Not a directory (os error 20): ${path}`);
  }

  file(path: string): FileNode {
    const node = this.find(path);
    if (node instanceof FileNode) return node;
    throw new Deno.errors.IsADirectory(`Is a directory (os error 21): ${path}`);
  }

  open(path: string, { write, append, create, createNew, truncate, mode }: Deno.OpenOptions): Node {
    const parts = partsOf(path), name = parts.pop();
    if (name === undefined) return this.#root;
    const folder = this.folder(parts.join("/")), known = folder.entries.get(name);
    if (known !== undefined) {
      if (createNew) throw new Deno.errors.AlreadyExists(`File exists (os error 17): ${path}`);
      if (known instanceof FolderNode && (write || append)) {
        throw new Deno.errors.IsADirectory(`Is a directory (os error 21): ${path}`);
      }
      if (known instanceof FileNode && truncate) known.bytes = new Uint8Array(0);
      return known;
    }
    if (!create && !createNew) throw notFound(path);
    const file = new FileNode();
    if (mode !== undefined) file.mode = mode;
    this.#change([folder], (entriesOf) => entriesOf(folder).set(name, file));
    return file;
  }

  /** Puts bytes into a file; fewer than there are where the disk becomes full. */
  write(file: FileNode, at: number, bytes: Uint8Array): number {
    const growth = Math.max(0, at + bytes.length - file.bytes.length);
    const room = this.capacity === Infinity ? Infinity : Math.max(0, this.capacity - this.used);
    const n = Math.min(bytes.length, bytes.length - growth + room);
    if (n <= 0 && bytes.length > 0) throw new Error("No space left on device (os error 28)");
    const next = new Uint8Array(Math.max(file.bytes.length, at + n));
    next.set(file.bytes);
    next.set(bytes.subarray(0, n), at);
    file.bytes = next;
    return n;
  }

  sync(node: Node): void {
    if (node instanceof FileNode) node.synced = node.bytes;
    const isDone = ({ folders }: Change) =>
      this.isOrdered || node instanceof FolderNode && folders.includes(node);
    for (const change of this.#changes) if (isDone(change)) change.apply();
    this.#changes = this.#changes.filter((change) => !isDone(change));
  }

  makeFolder(path: string, recursive: boolean): void {
    const parts = partsOf(path);
    let folder = this.#root;
    for (const [i, name] of parts.entries()) {
      const next = folder.entries.get(name), isLast = i === parts.length - 1;
      if (next instanceof FileNode || isLast && next && !recursive) {
        throw new Deno.errors.AlreadyExists(`File exists (os error 17): ${path}`);
      }
      if (next) folder = next;
      else if (!isLast && !recursive) throw notFound(path);
      else {
        const made = new FolderNode(), parent = folder;
        this.#change([parent], (entriesOf) => entriesOf(parent).set(name, made));
        folder = made;
      }
    }
  }

  rename(from: string, to: string): void {
    const fromParts = partsOf(from), toParts = partsOf(to), moved = this.find(from);
    const fromName = fromParts.pop()!, toName = toParts.pop()!;
    const source = this.folder(fromParts.join("/")), target = this.folder(toParts.join("/"));
    const there = target.entries.get(toName);
    if (there instanceof FolderNode && there.entries.size > 0) {
      throw new Error(`Directory not empty (os error 39): ${to}`);
    }
    this.#change([source, target], (entriesOf) => {
      entriesOf(source).delete(fromName);
      entriesOf(target).set(toName, moved);
    });
  }

  remove(path: string, recursive: boolean): void {
    const node = this.find(path), parts = partsOf(path), name = parts.pop()!;
    const folder = this.folder(parts.join("/"));
    if (node instanceof FolderNode && node.entries.size > 0 && !recursive) {
      throw new Error(`Directory not empty (os error 39): ${path}`);
    }
    this.#change([folder], (entriesOf) => entriesOf(folder).delete(name));
  }

  /** Some paths under one, the deepest first, as `rm -r` takes them. */
  under(path: string): string[] {
    const node = this.find(path);
    const inside = node instanceof FolderNode
      ? [...node.entries.keys()].flatMap((name) => this.under(`${path}/${name}`))
      : [];
    return [...inside, path];
  }

  /** What is left after a loss of power. */
  losePower(): void {
    const world = this.#world, changes = this.#changes;
    this.#changes = [];
    if (this.isOrdered) {
      for (const { apply } of changes.slice(0, world.pick(changes.length + 1))) apply();
    } else {
      for (const { apply } of changes) if (world.chance(0.5)) apply();
    }
    const settle = (node: Node) => {
      if (node instanceof FileNode) {
        if (node.bytes !== node.synced) node.bytes = this.#torn(node);
        node.synced = node.bytes;
      } else {
        node.entries = new Map(node.synced);
        for (const each of node.entries.values()) settle(each);
      }
    };
    settle(this.#root);
  }

  /** A file that was being written when power was lost. */
  #torn({ bytes, synced }: FileNode): Uint8Array<ArrayBuffer> {
    const world = this.#world;
    const between = synced.length + world.pick(bytes.length - synced.length + 1);
    const length = [synced.length, bytes.length, Math.floor(between)][world.pick(3)];
    const left = new Uint8Array(length);
    left.set(synced.subarray(0, length));
    for (let at = 0; at < length; at += SECTOR) {
      if (world.chance(0.5)) left.set(bytes.subarray(at, Math.min(at + SECTOR, length)), at);
    }
    return left;
  }

  #change(
    folders: readonly FolderNode[],
    make: (entriesOf: (folder: FolderNode) => Map<string, Node>) => void,
  ): void {
    make(({ entries }) => entries);
    this.#changes.push({ folders, apply: () => make(({ synced }) => synced) });
  }
}

const partsOf = (path: string) => path.split("/").filter((part) => part !== "" && part !== ".");

const notFound = (path: string) =>
  new Deno.errors.NotFound(`No such file or directory (os error 2): ${path}`);
