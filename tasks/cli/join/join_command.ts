import { loadPromptSecret } from "../../../deps.ts";
import { decodeInvitation, readInvitationFile } from "../../../runtime/agents/invitation.ts";
import { HandshakeError, RendezvousError } from "../../../runtime/base/errors.ts";
import { readInvitationLine } from "../../../runtime/launcher/invitation_line.ts";
import { ENDING_SIGNALS } from "../../../runtime/launcher/interrupts.ts";
import { joinLaunch } from "../../../runtime/launcher/join.ts";
import { HostPreparation } from "../../launch/host_preparation.ts";
import { asOptionError } from "../../options/as_option_error.ts";
import { JOIN, type JoinOptions } from "./join_options.ts";
import { OptionError } from "../../options/kinds.ts";
import { VERSION } from "../../run/version.ts";
import type { CommandSpec } from "../command_line.ts";

const EPILOGUE =
  `On another host, deno task launch --world 8 --ranks 4 … says where its invitation is; so does a run
with --elastic, to which hosts may come while it goes on.
Bring it here in a file of mode 0600, in CELGC_INVITATION, or paste it when it is asked for; among the
arguments everybody on this host could read it.
Example:
  deno task join --invitation FILE --ranks 4`;

/** `join`: ranks of this host for a job that another has begun. */
export const joinCommand: CommandSpec = {
  name: "join",
  summary: "start ranks on this host for a job that another host has launched",
  epilogue: EPILOGUE,
  options: JOIN,
  run: (given) => join(given as Partial<JoinOptions>),
};

async function join(given: Partial<JoinOptions>): Promise<number> {
  const { ranks = JOIN.ranks.default, seat, listen, port, quiet = false } = given;
  const { stdinInvitation = false, data, out } = given;
  const say = (line: string) => {
    // Whoever has started this by ssh knows.
    if (!quiet && !stdinInvitation) console.error(`celgc: ${line}`);
  };
  await using preparation = new HostPreparation({ data, out, say });
  try {
    const { invitation, orphaned } = await findInvitation(given);
    const { code, message } = await asOptionError(null, () =>
      joinLaunch(invitation, {
        ranks,
        version: VERSION,
        handleSignals: ENDING_SIGNALS,
        ...(seat === undefined || seat === null ? {} : { seat }),
        ...(listen ? { listen } : {}),
        ...(port ? { port } : {}),
        ...(orphaned ? { orphaned } : {}),
        prepare: preparation.prepare,
        say,
      }));
    if (message !== null && !stdinInvitation) console.error(`celgc: ${message}`);
    return code;
  } catch (error) {
    if (!(error instanceof RendezvousError || error instanceof HandshakeError)) throw error;
    console.error(`celgc: ${error.message}`);
    return 1;
  }
}

/** The invitation, from where the options say. */
async function findInvitation({ invitation: path, stdinInvitation }: Partial<JoinOptions>) {
  if (stdinInvitation) {
    if (path) throw new OptionError("--invitation and --stdin-invitation: give one of them");
    const { line, ended } = await readInvitationLine();
    return { invitation: decodeInvitation(line), orphaned: ended };
  }
  if (path) return { invitation: await readInvitationFile(path) };
  const text = Deno.env.get("CELGC_INVITATION");
  if (text !== undefined) return { invitation: decodeInvitation(text) };
  const given = Deno.stdin.isTerminal()
    ? (await loadPromptSecret())("Invitation: ", { mask: "" }) ?? ""
    : (await readInvitationLine()).line;
  if (given.trim() === "") {
    throw new OptionError(
      "cannot join without an invitation, which launch --world or --elastic writes on another host: bring it " +
        "here and give --invitation FILE",
    );
  }
  return { invitation: decodeInvitation(given) };
}
