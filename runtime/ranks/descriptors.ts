/**
 * How many files, pipes and sockets the launcher may have open.
 *
 * @module
 */

/** This process's limit (RLIMIT_NOFILE); null where it cannot be told. */
export function descriptorLimit(): number | null {
  try {
    const limits = Deno.readTextFileSync("/proc/self/limits");
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]) || null;
  } catch {
    return null;
  }
}
