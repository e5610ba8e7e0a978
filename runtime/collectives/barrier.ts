import type { Context } from "../engine/context.ts";

/**
 * Returns when every member has called it.
 *
 * A tree exchange of empty frames, radix 8: 2(N−1) frames, one to and one from every host but rank 0's;
 * 2⌈log₈N⌉ steps on one host, no payload. A
 * dissemination barrier (Hensgen, Finkel, Manber 1988) takes ⌈log₂N⌉ steps but N⌈log₂N⌉ frames, and
 * with more ranks than cores it is frames that take time.
 */
export function barrier(context: Context): Promise<void> {
  return context.collective({ name: "barrier" }, (call) => call.agree());
}
