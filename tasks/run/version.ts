/** Semantic version of this release; that of `deno.json`, which a package for npm does not hold. */
export const VERSION: string = "0.1.0";
