/**
 * The table of options. The command line, `launch()` in code, a run's `config.json` and the axes of a
 * sweep are all read off it; nothing else knows an option's flag, default or range.
 *
 * The defaults are the default job: a small network on generated images.
 *
 * @module
 */

import { formatLink, parseLink } from "../../runtime/transport/access_link.ts";
import { EXPERIMENT } from "./experiment.ts";
import {
  choice,
  closest,
  GROUPS,
  hintOf,
  integer,
  OptionError,
  type OptionSpec,
  pairs,
  real,
  type Table,
  text,
  texts,
  toggle,
} from "./kinds.ts";
import { stepsOrTime } from "./recovery/checkpoint_every.ts";
import { RECOVERY } from "./recovery/table.ts";
import type {
  ExecutionOptions,
  HostOptions,
  OptionName,
  Options,
  ProcessOptions,
} from "./values.ts";

export { EXPERIMENT } from "./experiment.ts";
export type { OptionName, Options } from "./values.ts";

const { WHO, DATA, RUN } = GROUPS;

/** A file that TLS needs. */
function pem(flag: string, help: string): OptionSpec<string | null> {
  const placeholder = "file", defaultText = "none";
  return text({ flag, group: WHO, help, default: null, defaultText, placeholder });
}

/** A permission as in Deno's flags, without `--allow-`. */
function checkPermission(permission: string): string {
  // A comma that is doubled is one of a path.
  const second = /(?<!,),((all|env|ffi|import|net|read|run|sys|write)=.+)$/.exec(permission);
  if (second) {
    const first = permission.slice(0, second.index);
    throw new RangeError(
      `one permission each time, as in --allow ${first} --allow ${second[1]}, not "${permission}"`,
    );
  }
  if (/^(all|env|ffi|import|net|read|run|sys|write)(=.+)?$/.test(permission)) return permission;
  throw new RangeError(
    "a permission is all, env, ffi, import, net, read, run, sys or write, or such a name, = and a " +
      `list as in Deno's flags, not "${permission}"`,
  );
}

/** Checks an address of a mirror. */
function checkMirror(address: string): string {
  if (/^https?:\/\/[^/\s]/.test(address) && URL.canParse(address)) return address;
  throw new RangeError(`a mirror is an http:// or https:// address, not "${address}"`);
}

/** Where an experiment runs and what it reads and writes; its numbers do not depend on these. */
export const EXECUTION: Table<ExecutionOptions> = {
  device: choice({
    flag: "--device",
    group: WHO,
    help: "where the graph runs; auto takes a GPU if there is one, else the CPU",
    choices: ["auto", "webgpu", "cpu", "wasm"],
    default: "auto",
  }),
  threads: integer({
    flag: "--threads",
    group: WHO,
    help: "threads of each rank on the cpu device",
    unit: "threads",
    from: 1,
    to: 256,
    default: 1,
  }),
  data: text({
    flag: "--data",
    group: DATA,
    help:
      "folder of the data set in its official layout; of CIFAR in any form, or an archive of it; of " +
      "--task images, a folder with a folder for each class; of text, a UTF-8 file or a folder of them; of arrays, an .npz or .csv file, or a folder of .npy",
    default: null,
    defaultText: "none",
    placeholder: "dir",
  }),
  download: toggle({
    flag: "--download",
    group: DATA,
    help: "fetch the data set into --data (default: data/<task>) if it is not there",
  }),
  mirror: texts({
    flag: "--mirror",
    group: DATA,
    help:
      "an address to fetch from before the public ones, of a folder with the same files or of " +
      "the file itself; what arrives is checked by its hash; may be given several times",
    defaultText: "none",
    placeholder: "url",
    normalise: checkMirror,
  }),
  sendData: toggle({
    flag: "--send-data",
    group: GROUPS.HOSTS,
    help: "send the files of --data to the other hosts, which need none of their own then",
  }),
  checkpointLocal: toggle({
    flag: "--checkpoint-local",
    group: GROUPS.HOSTS,
    help: "each host keeps its ranks' parts of checkpoints, which else come to rank 0",
  }),
  checkpointEvery: stepsOrTime({
    flag: "--checkpoint-every",
    group: RUN,
    help: "write down all that a run needs to go on from, each time so many steps are done or so " +
      "much time has passed: 100, 10min",
  }),
  keep: integer({
    flag: "--keep",
    group: RUN,
    help: "newest checkpoints that are kept, beside the one with the lowest evaluated loss; one " +
      "alone has none behind it if it is damaged",
    unit: "checkpoints",
    from: 1,
    default: 2,
  }),
  resume: text({
    flag: "--resume",
    group: RUN,
    help: "go on with the run in this folder from its last checkpoint, with its own options; it " +
      "can be made longer",
    default: null,
    defaultText: "none",
    placeholder: "dir",
  }),
  ...RECOVERY,
  grace: real({
    flag: "--grace",
    group: RUN,
    help:
      "time for a checkpoint after SIGTERM or SIGUSR1, as schedulers send them; then the run is ended",
    unit: "seconds",
    over: 0,
    to: 86_400,
    default: 25,
  }),
  preemptedCode: integer({
    flag: "--preempted-code",
    group: RUN,
    help: "exit code of a run that SIGTERM or SIGUSR1 has ended and --resume goes on with",
    from: 1,
    to: 255,
    default: 85,
  }),
  log: choice({
    flag: "--log",
    group: RUN,
    help: "a form in which the run's numbers are logged beside metrics.jsonl: event files for " +
      "TensorBoard, in tensorboard/",
    choices: ["tensorboard"],
    default: null,
    defaultText: "none",
  }),
  trace: toggle({
    flag: "--trace",
    group: RUN,
    help:
      "write trace.json when the run has ended, in Chrome's format: a track of each rank, for Perfetto",
  }),
  traceKernels: integer({
    flag: "--trace-kernels",
    group: RUN,
    help:
      "with --trace: the engine's kernels in rank 0's first so many steps, on the CPU and WebAssembly",
    from: 1,
    to: 1000,
    default: null,
    defaultText: "none",
    placeholder: "steps",
  }),
  json: toggle({
    flag: "--json",
    group: RUN,
    help: "print the summary as JSON on standard output, and nothing else there",
  }),
};

/** How processes are started: these go with any program, not only with training. */
export const PROCESSES: Table<ProcessOptions> = {
  env: pairs({
    flag: "--env",
    group: WHO,
    help: "an environment variable of the ranks; may be given several times",
    defaultText: "none",
  }),
  cwd: text({
    flag: "--cwd",
    group: WHO,
    help: "folder in which the ranks run",
    default: null,
    defaultText: "this one",
    placeholder: "dir",
  }),
  allow: texts({
    flag: "--allow",
    group: WHO,
    help: "a permission of the ranks beside what they need to talk to each other, as in Deno's " +
      "flags: net, read=data,models, ffi, all, …; may be given several times",
    defaultText: "none",
    placeholder: "name[=list]",
    commas: true,
    normalise: checkPermission,
  }),
  stdin: choice({
    flag: "--stdin",
    group: WHO,
    help: "ranks that get what comes in on standard input; that of the others is empty",
    choices: ["rank0", "all", "none"],
    default: "none",
  }),
  transport: choice({
    flag: "--transport",
    group: WHO,
    help: "what the ranks talk over; auto takes memory and Unix sockets within a host and TCP " +
      "between hosts; mpi is for ranks that mpirun or srun has started",
    choices: ["auto", "tcp", "unix", "mpi"],
    default: "auto",
  }),
  listen: text({
    flag: "--listen",
    group: WHO,
    help: "address on which the ranks listen to each other; with several hosts, also a network " +
      "(10.0.0.0/8) or a card (eth0) of this one",
    default: "127.0.0.1",
    defaultText: "127.0.0.1; with several hosts all addresses",
    placeholder: "address",
  }),
  timeout: real({
    flag: "--timeout",
    group: WHO,
    help: "longest silence of a rank that others wait for",
    unit: "seconds",
    over: 0,
    default: 60,
  }),
  link: text({
    flag: "--link",
    group: WHO,
    help:
      "puts every rank behind an access link of so much bandwidth each way (kbit, mbit, gbit a " +
      "second) and one-way delay (us, ms, s), or one of the two, to try a slow network on one machine; " +
      "window=4MiB lets no more of a connection be on its way, as TCP does",
    default: null,
    defaultText: "none",
    placeholder: "100mbit,20ms",
    commas: true,
    normalise: (link) => formatLink(parseLink(link)),
  }),
  connections: integer({
    flag: "--connections",
    group: WHO,
    help:
      "between two ranks of different hosts; large messages go over all of them in parts, for a " +
      "long fat pipe that one connection, of a TCP window a round trip, does not fill",
    unit: "connections",
    from: 1,
    to: 64,
    default: 1,
  }),
  tlsCert: pem(
    "--tls-cert",
    "PEM file of a certificate; with key and authority, ranks talk over TLS",
  ),
  tlsKey: pem("--tls-key", "PEM file of its private key"),
  tlsCa: pem("--tls-ca", "PEM file of the authority that the ranks trust"),
  out: text({
    flag: "--out",
    group: RUN,
    help: "folder for the run's files; a program's ranks log there only if it is given",
    default: null,
    defaultText: "runs/<time>-<name>",
    placeholder: "dir",
  }),
  quiet: toggle({ flag: "--quiet", group: RUN, help: "print nothing but errors" }),
};

/** Which hosts processes run on: these go with any program too. */
export const HOSTS: Table<HostOptions> = {
  world: integer({
    flag: "--world",
    group: GROUPS.HOSTS,
    help: "all ranks; those that --ranks does not start here join from other hosts, with the " +
      "invitation that this one writes: deno task join",
    unit: "processes",
    from: 1,
    to: 65536,
    default: null,
    defaultText: "as many as --ranks",
  }),
  hosts: text({
    flag: "--hosts",
    group: GROUPS.HOSTS,
    help: "hosts to reach by ssh, each with its ranks",
    default: null,
    defaultText: "none",
    placeholder: "a:4,b:4",
    commas: true,
  }),
  hostfile: text({
    flag: "--hostfile",
    group: GROUPS.HOSTS,
    help: "the same as a file, in Open MPI's format",
    default: null,
    defaultText: "none",
    placeholder: "file",
  }),
  port: integer({
    flag: "--port",
    group: GROUPS.HOSTS,
    help: "the one port at which other hosts reach this one; with --hosts, each of them",
    from: 1,
    to: 65535,
    default: null,
    defaultText: "any, and one for each rank",
  }),
  invitation: text({
    flag: "--invitation",
    group: GROUPS.HOSTS,
    help: "file for the invitation to --world or --elastic, which only you can read",
    default: null,
    defaultText: "one in the folder for temporary files",
    placeholder: "file",
  }),
};

/** Every option, by its name in code. */
export const OPTIONS: Table<Options> = { ...EXPERIMENT, ...EXECUTION, ...PROCESSES, ...HOSTS };

/** What other trainers and launchers call our options: flags without dashes, in small letters. */
const SYNONYMS: Readonly<Record<string, OptionName>> = {
  "alpha": "lr",
  "batch": "batchSize",
  "bs": "batchSize",
  "checkpoint-interval": "checkpointEvery",
  "clip-grad-norm": "clip",
  "clip-norm": "clip",
  "communication-interval": "interval",
  "dataset": "task",
  "eta": "lr",
  "gamma": "clip",
  "gpu": "device",
  "iterations": "maxSteps",
  "learning-rate": "lr",
  "local-steps": "interval",
  "master-addr": "listen",
  "max-epochs": "epochs",
  "max-grad-norm": "clip",
  "max-iters": "maxSteps",
  "method": "algorithm",
  "minibatch": "batchSize",
  "n": "ranks",
  "network": "model",
  "np": "ranks",
  "nproc": "ranks",
  "nproc-per-node": "ranks",
  "num-epochs": "epochs",
  "num-threads": "threads",
  "num-workers": "ranks",
  "o": "out",
  "output": "out",
  "output-dir": "out",
  "p": "ranks",
  "per-device-train-batch-size": "batchSize",
  "processes": "ranks",
  "random-seed": "seed",
  "steps": "maxSteps",
  "sync-interval": "interval",
  "wd": "weightDecay",
  "workers": "ranks",
  "machinefile": "hostfile",
  "host": "hosts",
  "world-size": "world",
  "x": "env",
};

/**
 * The option that was meant by a name which is none: a known synonym, or the one spelled most like it.
 *
 * @param name a flag, dashes and all, or a name in code
 * @param among those that can be meant
 * @returns its name in code; null if none comes near
 */
export function meantOption(name: string, among: readonly OptionName[]): OptionName | null {
  const bare = name.replace(/^-+/, "").replaceAll("_", "-")
    .replace(/[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
  const synonym = Object.hasOwn(SYNONYMS, bare) ? SYNONYMS[bare] : null;
  if (synonym !== null && among.includes(synonym)) return synonym;
  const near = closest(bare, among.map((each) => OPTIONS[each].flag.slice(2)));
  return among.find((each) => OPTIONS[each].flag === `--${near}`) ?? null;
}

/** The value of every option when nothing is said. */
export function defaultOptions(): Options {
  const entries = Object.entries(OPTIONS).map(([name, spec]) => [name, spec.default]);
  return Object.fromEntries(entries) as Options;
}

/**
 * Checks options that come from code or from a file.
 *
 * @throws OptionError naming the first option that is unknown or has a value it cannot have
 */
export function checkOptions(given: Readonly<Record<string, unknown>>): Partial<Options> {
  const checked: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const spec: OptionSpec<unknown> | undefined = Object.hasOwn(OPTIONS, name)
      ? OPTIONS[name as OptionName]
      : undefined;
    if (!spec) {
      const near = meantOption(name, Object.keys(OPTIONS) as OptionName[]);
      throw new OptionError(`unknown option ${name}${hintOf(near)}`);
    }
    checked[name] = spec.check(value);
  }
  return checked as Partial<Options>;
}
