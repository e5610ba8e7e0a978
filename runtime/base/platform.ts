/**
 * What the runtime and a run's files ask of the system: the time, timers, random numbers, SHA-256, connections
 * and files. In a process that is Deno; in the tests' simulated world (`tests/simulation/`) it is a clock, a
 * network and disks that one seed decides. Under both runs the same code.
 *
 * TLS, MPI libraries, shared memory, processes and terminals are not asked for here: they exist once.
 *
 * @module
 */

/** What is asked of Deno as it is. */
type Files = Pick<
  typeof Deno,
  | "connect"
  | "lstat"
  | "listen"
  | "mkdir"
  | "open"
  | "openSync"
  | "readDir"
  | "readFile"
  | "readTextFile"
  | "readTextFileSync"
  | "remove"
  | "removeSync"
  | "rename"
  | "stat"
  | "writeFile"
  | "writeTextFile"
>;

/** A timer; it can be told not to keep the process alive. */
export type Timer = ReturnType<typeof setTimeout>;

/** A system to run on. */
export interface Platform extends Files {
  /** This process's number. */
  readonly pid: number;
  /** Time since some moment in the past, in ms; never goes back. */
  now(): number;
  /** As `setTimeout()`. */
  setTimeout(act: (nothing: undefined) => void, ms: number): Timer;
  /** As `clearTimeout()`. */
  clearTimeout(timer: Timer | undefined): void;
  /** As `setInterval()`. */
  setInterval(act: () => void, ms: number): Timer;
  /** As `clearInterval()`. */
  clearInterval(timer: Timer | undefined): void;
  /** Fills an array with random numbers that nobody can guess, and returns it. */
  getRandomValues<T extends Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>(array: T): T;
  /** Hashes and signs, as in Web Cryptography. */
  readonly subtle: Pick<SubtleCrypto, "digest" | "importKey" | "sign" | "verify">;
  /** Ends this process. */
  exit(code: number): never;
}

/** Deno. */
const system: Platform = {
  connect: Deno.connect,
  listen: Deno.listen,
  lstat: Deno.lstat,
  mkdir: Deno.mkdir,
  open: Deno.open,
  openSync: Deno.openSync,
  readDir: Deno.readDir,
  readFile: Deno.readFile,
  readTextFile: Deno.readTextFile,
  readTextFileSync: Deno.readTextFileSync,
  remove: Deno.remove,
  removeSync: Deno.removeSync,
  rename: Deno.rename,
  stat: Deno.stat,
  writeFile: Deno.writeFile,
  writeTextFile: Deno.writeTextFile,
  pid: Deno.pid,
  now: () => performance.now(),
  setTimeout: (act, ms) => setTimeout(act, ms, undefined),
  clearTimeout: (timer) => clearTimeout(timer),
  setInterval: (act, ms) => setInterval(act, ms),
  clearInterval: (timer) => clearInterval(timer),
  getRandomValues: (array) => crypto.getRandomValues(array),
  subtle: crypto.subtle,
  exit: (code) => Deno.exit(code),
};

/** The system that this process runs on. */
export let platform: Platform = system;

/** Lets all of the runtime run on another system until what it returns is disposed of; for simulations. */
export function runOn(other: Platform): Disposable {
  platform = other;
  return {
    [Symbol.dispose]() {
      platform = system;
    },
  };
}
