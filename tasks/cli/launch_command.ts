import { HandshakeError, RendezvousError } from "../../runtime/base/errors.ts";
import {
  joinLaunch,
  type LauncherPlace,
  launcherPlace,
} from "../../runtime/launcher/across_hosts.ts";
import { ENDING_SIGNALS } from "../../runtime/launcher/interrupts.ts";
import { launchProgram } from "../../runtime/launcher/launch.ts";
import type { LaunchOutcome } from "../../runtime/launcher/options.ts";
import { VERSION } from "../run/version.ts";
import { asOptionError } from "../options/as_option_error.ts";
import { OptionError } from "../options/kinds.ts";
import { HOSTS, type OptionName, OPTIONS, type Options, PROCESSES } from "../options/table.ts";
import { tlsOf } from "../options/tls.ts";
import { goElsewhere } from "./elsewhere.ts";
import { permissionHint } from "./permission_hint.ts";
import type { CommandSpec } from "./command_line.ts";

const EPILOGUE = `Without PROGRAM it trains, by default a small network on generated images.
PROGRAM is the path or URL of any SPMD program; it runs on every rank, like mpirun -n N.
Examples:
  deno task launch --ranks 8
  deno task launch --ranks 8 --preset cifar10-resnet56 --data DIR --interval 4
  deno task launch --ranks 4 program.ts -- --its-own-option 1
  deno task launch --ranks 4 --allow read=data --allow ffi program.ts`;

/** `launch`: trains, or runs any SPMD program. */
export const launchCommand: CommandSpec = {
  name: "launch",
  summary: "train on N ranks, or run any SPMD program on them",
  operands: "[program] [args...]",
  epilogue: EPILOGUE,
  options: OPTIONS,
  async run(given, [program, ...args]) {
    const place = await placeOf();
    if (place !== null && place.index > 0) return await takePlace(place, given);
    if (program?.endsWith(".onnx")) {
      throw new OptionError(
        `${program} is a network, and no program of ranks: --model ${program} trains it`,
      );
    }
    if (program !== undefined) return await anyProgram(given, program, args, place);
    return await goElsewhere("launch", given) ?? await trainRun(given, place);
  },
};

/** How agents are started by ssh: as `join`. */
const SSH = {
  program: import.meta.resolve("./main.ts"),
  args: ["join", "--stdin-invitation"],
};

/** This process's place among launchers that something else has started. */
export async function placeOf(): Promise<LauncherPlace | null> {
  try {
    return await launcherPlace();
  } catch (error) {
    if (!(error instanceof RendezvousError)) throw error;
    throw new OptionError(error.message);
  }
}

/** Starts this host's ranks for the first of the launchers, which knows all else. */
export async function takePlace(place: LauncherPlace, given: Partial<Options>): Promise<number> {
  const { ranks = 1, listen, port, data, out } = given;
  const { HostPreparation } = await import("../launch/host_preparation.ts");
  const say = (line: string) => console.error(`celgc: ${line}`);
  await using preparation = new HostPreparation({ data, out, say });
  try {
    const { code } = await asOptionError(null, () =>
      joinLaunch(place, {
        ranks,
        version: VERSION,
        handleSignals: ENDING_SIGNALS,
        ...(listen ? { listen } : {}),
        ...(port ? { port } : {}),
        prepare: preparation.prepare,
        say: () => {},
      }));
    return code;
  } catch (error) {
    if (!(error instanceof RendezvousError || error instanceof HandshakeError)) throw error;
    console.error(`celgc: launcher ${place.index} of ${place.count}: ${error.message}`);
    return 1;
  }
}

async function trainRun(given: Partial<Options>, place: LauncherPlace | null): Promise<number> {
  const { quiet = false, json = false } = given;
  // Whoever runs a program of their own does without the trainer.
  const [
    { WriteError },
    { CheckpointError },
    { HostsError },
    { launch, RunFailedError },
    { viewKind },
    { formatSummary },
    { optionsOf, readConfigFile },
  ] = await Promise.all([
    import("../run/write_error.ts"),
    import("../run/checkpoint.ts"),
    import("../launch/run_hosts.ts"),
    import("../launch/launch.ts"),
    import("../launch/view.ts"),
    import("../run/words/summary_text.ts"),
    import("../logs/config.ts"),
  ]);
  try {
    const view = viewKind(quiet);
    const { summary, dir } = await launch({ ...given, place, view, onFailed: tellFailure });
    if (json) console.log(JSON.stringify({ dir, ...summary }));
    else if (!quiet) {
      const options = optionsOf(await readConfigFile(dir));
      console.log(formatSummary(summary, dir, options));
    }
    return summary.identicalWeights ? 0 : 1;
  } catch (error) {
    if (error instanceof RunFailedError) return error.code;
    if (![CheckpointError, HostsError, WriteError].some((kind) => error instanceof kind)) {
      throw error;
    }
    tellFailure(error as Error);
    return error instanceof HostsError ? error.code : 1;
  }
}

function tellFailure({ message }: Error): void {
  console.error(`celgc: ${message}`);
}

async function anyProgram(
  given: Partial<Options>,
  program: string,
  args: string[],
  place: LauncherPlace | null,
): Promise<number> {
  const own = new Set<string>(["ranks", ...Object.keys(PROCESSES), ...Object.keys(HOSTS)]);
  for (const name of Object.keys(given)) {
    if (own.has(name)) continue;
    const { flag } = OPTIONS[name as OptionName];
    throw new OptionError(
      `${flag} is for training and has no meaning for ${program}; the program's own options go ` +
        `after --`,
    );
  }
  const ranks = given.ranks ?? (place === null ? OPTIONS.ranks.default : 1);
  const { env = {}, cwd, timeout, link, connections, out, quiet = false } = given;
  const { allow = [], stdin, transport = "auto", listen } = given;
  const { world, hosts, hostfile, port, invitation } = given;
  if (transport === "mpi" && !allow.some((name) => name === "ffi" || name === "all")) {
    throw new OptionError("--transport mpi calls a C library: give the program --allow ffi");
  }
  const tls = tlsOf(given);
  if (tls && (world || hosts || hostfile || place)) {
    throw new OptionError(
      "--tls-cert is for ranks of this host: a job on several makes a certificate of its own",
    );
  }
  const tell = ({ failure, pending }: Pick<LaunchOutcome, "failure" | "pending">) => {
    // What the rank has said itself stands above already.
    if (failure) console.error(`celgc: ${quiet ? failure.message : failure.headline}`);
    if (pending) console.error(`celgc: interrupted\n${pending}`);
    const missing = failure && permissionHint(failure.lastLines);
    if (missing) console.error(`celgc: a program has the permissions it is given: ${missing}`);
  };
  const { code } = await asOptionError(null, () =>
    launchProgram({
      ranks,
      program,
      args,
      env,
      ...(cwd ? { cwd } : {}),
      ...(out ? { logDir: out } : {}),
      timeout: timeout ?? OPTIONS.timeout.default,
      ...(tls ? { tls } : {}),
      ...(link ? { link } : {}),
      ...(connections ? { connections } : {}),
      allow,
      // Without a word of the command line the environment decides.
      ...(transport === "auto" ? {} : { transport }),
      ...(stdin ? { stdin } : {}),
      ...(listen ? { listen } : {}),
      ...(world ? { world } : {}),
      ...(hosts ? { hosts } : {}),
      ...(hostfile ? { hostfile } : {}),
      ...(place ? { place } : {}),
      ...(port ? { port } : {}),
      ...(invitation ? { invitation } : {}),
      version: VERSION,
      ssh: SSH,
      quiet,
      onEnd: tell,
    })).catch((error) => {
      if (!(error instanceof RendezvousError)) throw error;
      console.error(`celgc: ${error.message}`);
      return { code: 1 };
    });
  return code;
}
