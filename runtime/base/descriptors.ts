/**
 * How many files, pipes and sockets a process may have open.
 *
 * @module
 */

import { counted } from "./words.ts";

/** What a rank has open beside a connection to each other rank: measured, the least that it comes to. */
const OWN_DESCRIPTORS = 26;

/** This process's limit (RLIMIT_NOFILE); null where it cannot be told. */
export function descriptorLimit(): number | null {
  try {
    const limits = Deno.readTextFileSync("/proc/self/limits");
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]) || null;
  } catch {
    return null;
  }
}

/**
 * Refuses a job of more ranks than each rank can have connections to; without that the system refuses some of them
 * somewhere, and ranks wait for those that cannot come.
 *
 * @param size number of ranks
 * @param limit see {@linkcode descriptorLimit}
 * @param what could not be done, such as `cannot launch`
 * @throws RangeError that names the limit
 */
export function checkDescriptors(size: number, limit: number | null, what: string): void {
  const needed = size + OWN_DESCRIPTORS;
  if (limit === null || needed <= limit) return;
  throw new RangeError(
    `${what}: each of ${size} ranks needs ${needed} file descriptors, most of them for its ` +
      `connections to the others, and may have ${limit}: raise their limit (ulimit -n) or start ` +
      `${counted(Math.max(1, limit - OWN_DESCRIPTORS), "rank")} at most`,
  );
}
