/** The project's version, as `deno.json` has it. */

import config from "../../deno.json" with { type: "json" };

/** Semantic version of this release. */
export const VERSION: string = config.version;
