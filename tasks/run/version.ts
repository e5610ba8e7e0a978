/** Semantic version of this release; that of `deno.json`, which a package for npm does not hold. */
export const VERSION: string = "0.1.0";

/** The oldest Deno that runs it, by its first two numbers. */
const OLDEST_DENO = [2, 9] as const;

/**
 * What to say to a Deno that is too old: of what it lacks it would complain in words that nobody understands.
 *
 * @param version such as `2.9.6`
 * @returns null where it is new enough
 */
export function refuseOldDeno(version: string): string | null {
  const [major, minor] = version.split(".").map(Number), [first, second] = OLDEST_DENO;
  if (major > first || major === first && minor >= second) return null;
  return `Deno ${OLDEST_DENO.join(".")} or later is required, and this is ${version}: deno upgrade`;
}
