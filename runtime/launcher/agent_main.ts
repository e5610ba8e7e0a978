/**
 * An agent as ssh starts it: the invitation is the first line of standard input, whose end is its own.
 *
 *     deno run -A agent_main.ts --ranks 4 --seat 0
 *
 * @module
 */

import { parseArgs } from "node:util";
import { joinLaunch } from "./join.ts";
import { readInvitationLine } from "./invitation_line.ts";

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: { ranks: { type: "string" }, seat: { type: "string" }, port: { type: "string" } },
  });
  try {
    const { line, ended } = await readInvitationLine();
    const { code, message } = await joinLaunch(line, {
      ranks: Number(values.ranks),
      seat: Number(values.seat),
      ...values.port === undefined ? {} : { port: Number(values.port) },
      orphaned: ended,
      say: () => {},
    });
    if (message !== null) console.error(`celgc: ${message}`);
    Deno.exit(code);
  } catch (error) {
    console.error(`celgc: ${(error as Error).message}`);
    Deno.exit(1);
  }
}
