/**
 * The program that every rank of the planner executes. Its argument is a folder, with the options in
 * `options.json`, where rank 0 leaves `measured.json`.
 *
 * @module
 */

import { join } from "node:path";
import { init } from "../../runtime/bootstrap/init.ts";
import { DataError } from "../data/data_error.ts";
import { OptionError } from "../options/kinds.ts";
import { measure, type MeasureOptions } from "./measure.ts";

/** What every rank of the planner gets on its command line. */
export type PlanArguments = [directory: string];

if (import.meta.main) {
  try {
    await using comm = await init();
    const [directory] = Deno.args as PlanArguments;
    const options: MeasureOptions = JSON.parse(
      await Deno.readTextFile(join(directory, "options.json")),
    );
    const measured = await measure(comm, options, { directory });
    if (comm.rank === 0) {
      await Deno.writeTextFile(join(directory, "measured.json"), JSON.stringify(measured));
    }
  } catch (error) {
    if (!(error instanceof DataError || error instanceof OptionError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
