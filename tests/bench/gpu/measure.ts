/** How the programs of `bench gpu` time what they do, and the lines of JSON in which they say it. */

import process from "node:process";

/** Calls between two waits for the device, as training fetches its numbers. */
export const AHEAD = 8;

/** What was measured: one line of JSON. */
export type Measurement = Record<string, unknown> & { readonly what: string };

/** Prints a measurement. */
export function say(measurement: Measurement): void {
  console.log(JSON.stringify(measurement));
}

/** Says what is begun, so that it is known where a program hung. */
export function doing(text: string): void {
  console.log(JSON.stringify({ what: "doing", text }));
}

/** Milliseconds of a call: the middle one, and those a tenth of all are below and above of. */
export interface Spread {
  readonly ms: number;
  readonly low: number;
  readonly high: number;
  /** Calls measured. */
  readonly runs: number;
  /** Processor time of a call. */
  readonly cpuMs: number;
}

/** Chunks that a spread is taken from, unless they take this many times as long as they were given. */
const LEAST_CHUNKS = 3, PATIENCE = 6;

/**
 * Times a chunk of work again and again, after one that is not timed.
 *
 * @param work ends with the device done
 * @param calls in a chunk, by which times are divided
 */
export async function timed(
  work: () => Promise<unknown>,
  seconds: number,
  calls = 1,
): Promise<Spread> {
  await work();
  const times: number[] = [], begin = performance.now(), cpu = process.cpuUsage();
  const passed = () => (performance.now() - begin) / 1000;
  while (passed() < (times.length < LEAST_CHUNKS ? PATIENCE : 1) * seconds || times.length === 0) {
    const start = performance.now();
    await work();
    times.push((performance.now() - start) / calls);
  }
  const { user, system } = process.cpuUsage(cpu), runs = times.length * calls;
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return { ms: at(0.5), low: at(0.1), high: at(0.9), runs, cpuMs: (user + system) / 1000 / runs };
}

/**
 * Milliseconds of a call where what is at the end of many does not count: what more calls take longer.
 *
 * @param work makes so many calls, and ends with the device done
 * @param more calls than the few that are timed beside them
 */
export async function timedWithoutWait(
  work: (calls: number) => Promise<unknown>,
  seconds: number,
  more: number,
): Promise<number> {
  const few = await timed(() => work(AHEAD), seconds / 2);
  const many = await timed(() => work(AHEAD + more), seconds / 2);
  // Other work beside it may have slowed the few alone.
  return many.ms > few.ms ? (many.ms - few.ms) / more : many.ms / (AHEAD + more);
}

/** What a program prints if it succeeds in so many seconds; undefined if it does not, or is not there. */
export async function output(
  command: string,
  args: readonly string[],
  seconds: number,
): Promise<string | undefined> {
  try {
    const child = new Deno.Command(command, { args: [...args], stdout: "piped", stderr: "null" })
      .spawn();
    const late = new Promise<undefined>((done) => {
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        child.unref(); // who waits for a driver may not end even then
        done(undefined);
      }, 1000 * seconds);
      child.status.then(() => clearTimeout(timer));
    });
    const said = new Response(child.stdout).text();
    const ended = child.status.then(async ({ success }) => success ? await said : undefined);
    return await Promise.race([ended, late]);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** What NVIDIA's driver answers to a query of `nvidia-smi` of the first card, undefined where there is none. */
export async function nvidia(query: string): Promise<string | undefined> {
  const args = [`--query-gpu=${query}`, "--format=csv,noheader,nounits"];
  return (await output("nvidia-smi", args, 10))?.split("\n")[0].trim();
}

/** MB in use on the first card, by all processes. */
export async function cardMemory(): Promise<number | undefined> {
  const megabytes = await nvidia("memory.used");
  return megabytes === undefined ? undefined : Number(megabytes);
}
