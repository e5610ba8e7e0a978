/** All that is checked of a communicator, in every world. */

import { COMPRESSED } from "./_battery_compressed.ts";
import { COLLECTIVES } from "./_battery_collectives.ts";
import { GROUPS, MESSAGES } from "./_battery_messages.ts";
import { REDUCTIONS } from "./_battery_reductions.ts";
import type { Check } from "./_check.ts";

/** The checks, in the order in which they are made. */
export const BATTERY: readonly Check[] = [
  ...COLLECTIVES,
  ...REDUCTIONS,
  ...MESSAGES,
  ...GROUPS,
  ...COMPRESSED,
];
