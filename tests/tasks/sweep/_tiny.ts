import { join } from "node:path";
import type { SweepOptions } from "../../../tasks/sweep/sweep.ts";

/** A run of a second: two ranks, a few steps of the smallest network on a few generated images. */
export const TINY = {
  ranks: 2,
  device: "cpu",
  maxSteps: 4,
  batchSize: 4,
  trainSize: 40,
  testSize: 20,
} as const satisfies SweepOptions;

/** The same on the command line. */
export const TINY_FLAGS =
  "--ranks 2 --device cpu --max-steps 4 --batch-size 4 --train-size 40 --test-size 20".split(" ");

/** Something that changes whenever a cell is run again. */
export async function runOf(folder: string, cell: string): Promise<string> {
  return JSON.parse(await Deno.readTextFile(join(folder, cell, "config.json"))).started;
}
