/**
 * Lives many worlds through, in blocks of seeds that workers take one after another.
 *
 * @module
 */

import { replayLine, simulate } from "./simulate.ts";

/** Most seeds that a worker lives through before it asks for more. */
const BLOCK = 100;

/** Seeds from the first up to, but not, the last. */
interface Block {
  readonly from: number;
  readonly to: number;
}

/** What a worker says: what is broken, and that a block is done. */
type Word = { readonly broken: string } | { readonly events: number };

/** How far it has come. */
export interface Progress {
  /** Worlds that have been lived through. */
  readonly done: number;
  readonly events: number;
  readonly broken: number;
  /** The first seed before which there is none that has not been lived through. */
  readonly next: number;
}

/** Whom to tell. */
export interface Watcher {
  /** Something is broken: what, and how to see it again. */
  broken(line: string): void;
  progress(progress: Progress): void;
  /** Gives up. */
  readonly signal: AbortSignal;
}

/** Lives `count` worlds through, from seed `from` on, `workers` at a time. */
export async function simulateMany(
  from: number,
  count: number,
  workers: number,
  { broken, progress, signal }: Watcher,
): Promise<Progress> {
  const end = from + count, under = new Set<Block>();
  const size = Math.min(BLOCK, Math.ceil(count / workers));
  let at = from, now: Progress = { done: 0, events: 0, broken: 0, next: from };
  const beside = Array.from({ length: workers }, async () => {
    using worker = new Beside();
    while (at < end && !signal.aborted) {
      const block = { from: at, to: Math.min(end, at + size) };
      at = block.to;
      under.add(block);
      const events = await worker.live(block, signal, (line) => {
        now = { ...now, broken: now.broken + 1 };
        broken(line);
      });
      if (events === null) return;
      under.delete(block);
      now = {
        done: now.done + block.to - block.from,
        events: now.events + events,
        broken: now.broken,
        next: Math.min(at, ...[...under].map(({ from }) => from)),
      };
      progress(now);
    }
  });
  await Promise.all(beside);
  return now;
}

/** A worker that lives blocks through. */
class Beside implements Disposable {
  readonly #worker = new Worker(import.meta.url, { type: "module" });

  /** Lives a block through; gives its events, or null if it was given up. */
  live(block: Block, signal: AbortSignal, broken: (line: string) => void): Promise<number | null> {
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    const giveUp = () => resolve(null);
    signal.addEventListener("abort", giveUp);
    this.#worker.onerror = ({ message }) => reject(new Error(message));
    this.#worker.onmessage = ({ data }: MessageEvent<Word>) => {
      if ("broken" in data) broken(data.broken);
      else resolve(data.events);
    };
    this.#worker.postMessage(block);
    return promise.finally(() => signal.removeEventListener("abort", giveUp));
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

if ("DedicatedWorkerGlobalScope" in globalThis) {
  const self = globalThis as unknown as Worker, say = (word: Word) => self.postMessage(word);
  self.onmessage = async ({ data: { from, to } }: MessageEvent<Block>) => {
    let events = 0;
    for (let seed = from; seed < to; seed++) {
      const world = await simulate(seed);
      events += world.events;
      if (world.violation !== null) say({ broken: replayLine(world) });
    }
    say({ events });
  };
}
