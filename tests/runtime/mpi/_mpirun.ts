/** Jobs under the launchers of real MPI libraries. */

import { type Ended, endedAs, ROOT } from "../../_helpers/deno.ts";

/** No job lives longer, in ms. */
const LONGEST_MS = 180_000;

/** A library that is tried. */
export interface MpiPeer {
  readonly name: "Open MPI" | "MPICH";
  readonly mpirun: string;
  /** What its mpirun needs to start more ranks than there are cores, as root. */
  readonly flags: readonly string[];
  /** Its launcher's variables, in celgc's words. */
  readonly words: string;
  readonly library: string;
  /** Numbers of ranks; MPICH's ranks spin where they outnumber the cores. */
  readonly sizes: readonly number[];
  /** Why it is not tried, or null. */
  readonly missing: string | null;
}

async function whyMissing(mpirun: string, debian: string): Promise<string | null> {
  if (Deno.build.os !== "linux") return "the mpi transport is Linux's";
  return await new Deno.Command(mpirun, { args: ["--version"], stdout: "null" }).output()
    .then(
      ({ success }) => success ? null : `${mpirun} does not start`,
      () => `Debian's ${debian} is not installed`,
    );
}

/** The libraries, under Debian's names for their launchers. */
export const MPI_PEERS: readonly MpiPeer[] = [
  {
    name: "Open MPI",
    mpirun: "mpirun.openmpi",
    flags: ["--oversubscribe", "--allow-run-as-root"],
    words: "Open MPI's variables",
    library: "libmpi.so.40",
    sizes: [2, 4],
    missing: await whyMissing("mpirun.openmpi", "openmpi-bin"),
  },
  {
    name: "MPICH",
    mpirun: "mpirun.mpich",
    flags: [],
    words: "PMI's variables",
    library: "libmpich.so.12",
    sizes: [2],
    missing: await whyMissing("mpirun.mpich", "mpich"),
  },
];

/** Runs a program on some ranks of a library's launcher, over the library if nothing else is said. */
export async function mpirun(
  { mpirun, flags }: MpiPeer,
  ranks: number,
  program: string,
  { args = [], env = {}, allow = ["--allow-all"] }: {
    args?: readonly string[];
    env?: Record<string, string>;
    allow?: readonly string[];
  } = {},
): Promise<Ended> {
  const command = new Deno.Command(mpirun, {
    args: [
      ...[...flags, "-n", String(ranks), Deno.execPath(), "run", "--no-prompt", "--no-check"],
      ...[...allow, new URL(program, ROOT).href, ...args],
    ],
    // Open MPI gives the ranks a terminal, to which Deno would write in colours.
    env: { NO_COLOR: "1", CELGC_TRANSPORT: "mpi", CELGC_JOIN_TIMEOUT: "50", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(LONGEST_MS),
  });
  return endedAs(await command.output());
}
