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

/**
 * Times a chunk of work again and again.
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
  while (times.length < 3 || performance.now() - begin < 1000 * seconds) {
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

/** What NVIDIA's driver answers to a query of `nvidia-smi`, undefined where there is none. */
export async function nvidia(query: string): Promise<string | undefined> {
  try {
    const args = [`--query-gpu=${query}`, "--format=csv,noheader,nounits"];
    const { success, stdout } = await new Deno.Command("nvidia-smi", { args, stderr: "null" })
      .output();
    return success ? new TextDecoder().decode(stdout).split("\n")[0].trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** MB in use on the first card, by all processes. */
export async function cardMemory(): Promise<number | undefined> {
  const megabytes = await nvidia("memory.used");
  return megabytes === undefined ? undefined : Number(megabytes);
}
