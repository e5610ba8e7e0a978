/**
 * The program that every rank of the planner executes. Its arguments are a run's: a folder, with the options
 * in `options.json`, where rank 0 leaves `measured.json`, and which other hosts need not have; and what is this
 * host's own.
 *
 * @module
 */

import { join } from "node:path";
import { MissingPackageError } from "../../deps.ts";
import { init } from "../../runtime/bootstrap/init.ts";
import { DataError } from "../data/data_error.ts";
import { OptionError } from "../options/kinds.ts";
import { broadcastText } from "../run/byte_stream.ts";
import type { RankArguments, RankPlace } from "../training/rank_program.ts";
import { measure } from "./measure.ts";
import type { MeasureOptions } from "./measured.ts";

if (import.meta.main) {
  try {
    await using comm = await init();
    const [directory, json] = Deno.args as RankArguments;
    const { device, data, folder = directory }: RankPlace = JSON.parse(json);
    const path = join(directory, "options.json");
    const text = await broadcastText(comm, comm.rank === 0 ? await Deno.readTextFile(path) : null);
    const asked: MeasureOptions = JSON.parse(text);
    const options = {
      ...asked.options,
      ...device === undefined ? {} : { device },
      ...data === undefined ? {} : { data },
    };
    const measured = await measure(comm, { ...asked, options }, { directory, folder });
    if (comm.rank === 0) {
      await Deno.writeTextFile(join(directory, "measured.json"), JSON.stringify(measured));
    }
  } catch (error) {
    const known = [DataError, MissingPackageError, OptionError];
    if (!known.some((kind) => error instanceof kind)) throw error;
    console.error((error as Error).message);
    Deno.exit(1);
  }
}
