/**
 * The launcher of a run's ranks on another host, as ssh starts it: the invitation is the first line of
 * standard input, whose end is its own.
 *
 *     deno run -A agent_program.ts --ranks 4 --seat 0
 *
 * @module
 */

import { parseArgs } from "node:util";
import { ENDING_SIGNALS } from "../../runtime/launcher/interrupts.ts";
import { readInvitationLine } from "../../runtime/launcher/invitation_line.ts";
import { joinLaunch } from "../../runtime/launcher/join.ts";
import { VERSION } from "../run/version.ts";
import { HostPreparation } from "./host_preparation.ts";

async function join(ranks: number, seat: number, port?: number): Promise<number> {
  const { line, ended } = await readInvitationLine();
  const say = () => {};
  await using preparation = new HostPreparation({ say, note: (line) => console.error(line) });
  const { prepare } = preparation;
  const { code, message } = await joinLaunch(line, {
    ranks,
    seat,
    ...port === undefined ? {} : { port },
    version: VERSION,
    handleSignals: ENDING_SIGNALS,
    orphaned: ended,
    prepare,
    say,
  });
  if (message !== null) console.error(`celgc: ${message}`);
  return code;
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: { ranks: { type: "string" }, seat: { type: "string" }, port: { type: "string" } },
  });
  let code = 1;
  try {
    const port = values.port === undefined ? undefined : Number(values.port);
    code = await join(Number(values.ranks), Number(values.seat), port);
  } catch (error) {
    console.error(`celgc: ${(error as Error).message}`);
  }
  Deno.exit(code);
}
