/**
 * Which rank a process is that something else than this project's launcher has started, as the
 * environment tells it: torchrun, Slurm's srun, Open MPI's mpirun, launchers that speak PMI (MPICH,
 * Intel MPI), Kubernetes' Indexed Jobs.
 *
 * @module
 */

import { RendezvousError } from "../base/errors.ts";
import { formatAddress, parseAddress } from "../security/endpoint.ts";

/** Reads one variable; undefined if it is not set. */
export type Environment = (name: string) => string | undefined;

/** Those whose variables are understood, in the order in which they are looked for. */
const FOREIGN_LAUNCHERS = ["torchrun", "slurm", "openmpi", "pmi", "kubernetes"] as const;

/** A launcher that is not ours. */
export type ForeignLauncher = typeof FOREIGN_LAUNCHERS[number];

/** Those with whose ranks an MPI library can connect. */
const MPI_LAUNCHERS: readonly string[] = ["slurm", "openmpi", "pmi"];

/** Whether an MPI library can connect the processes that a launcher has started. */
export function startsMpi(launcher: string | undefined): launcher is ForeignLauncher {
  return launcher !== undefined && MPI_LAUNCHERS.includes(launcher);
}

/** A rank, as the variables of its launcher say. */
export interface LauncherEnvironment {
  readonly launcher: ForeignLauncher;
  readonly rank: number;
  readonly size: number;
  /** Whether all ranks run on this host; null if nobody says so. */
  readonly near: boolean | null;
  /** Tells this job from others; null if nobody has named it. */
  readonly job: string | null;
  /** Where rank 0 can be reached, if that is known. */
  readonly address: { readonly hostname: string; readonly port: number } | null;
}

/** The names of the variables of one of them. */
interface Variables {
  readonly words: string;
  readonly rank: string;
  readonly size: string;
  /**
   * Set in each process that the launcher has started, and not in a shell or a script beside them, which
   * may have the other variables too.
   */
  readonly started?: string;
  /** Instead of `size`, where it is set: of the processes that were started together. */
  readonly startedSize?: string;
  /** Ranks on this host. */
  readonly localSize?: string;
  /** Number of hosts. */
  readonly hosts?: string;
  /** Together they name the job. */
  readonly job: readonly string[];
}

const VARIABLES: Record<ForeignLauncher, Variables> = {
  torchrun: {
    words: "torchrun's variables",
    rank: "RANK",
    size: "WORLD_SIZE",
    localSize: "LOCAL_WORLD_SIZE",
    job: ["TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_PORT"],
  },
  slurm: {
    words: "Slurm's variables",
    rank: "SLURM_PROCID",
    size: "SLURM_NTASKS",
    started: "SLURM_STEP_ID",
    startedSize: "SLURM_STEP_NUM_TASKS",
    hosts: "SLURM_NNODES",
    job: ["SLURM_JOB_ID", "SLURM_STEP_ID"],
  },
  openmpi: {
    words: "Open MPI's variables",
    rank: "OMPI_COMM_WORLD_RANK",
    size: "OMPI_COMM_WORLD_SIZE",
    localSize: "OMPI_COMM_WORLD_LOCAL_SIZE",
    job: ["PMIX_NAMESPACE"],
  },
  pmi: {
    words: "PMI's variables",
    rank: "PMI_RANK",
    size: "PMI_SIZE",
    localSize: "MPI_LOCALNRANKS",
    job: ["PMI_JOBID"],
  },
  kubernetes: {
    words: "Kubernetes' index of the pod",
    rank: "JOB_COMPLETION_INDEX",
    size: "CELGC_SIZE",
    job: [],
  },
};

/** The variables that show that one of them has started this process. */
export const RANK_VARIABLES: readonly string[] = FOREIGN_LAUNCHERS.map((launcher) =>
  VARIABLES[launcher].rank
);

/** A launcher's variables, in words. */
export const describeLauncher = (launcher: ForeignLauncher): string => VARIABLES[launcher].words;

/**
 * Finds a rank in the variables of whichever launcher has started it.
 *
 * @param say told of variables that are passed over: a shell has them in which nobody has started ranks
 * @returns null if nobody has
 * @throws RendezvousError if two of them disagree, or one of them is incomplete
 */
export function readForeignLauncher(
  environment: Environment,
  say: (line: string) => void = () => {},
): LauncherEnvironment | null {
  const wanted = environment("CELGC_PLACE");
  if (wanted === "none") return null;
  if (wanted !== undefined && !(FOREIGN_LAUNCHERS as readonly string[]).includes(wanted)) {
    throw new RendezvousError(
      `CELGC_PLACE is none or one of ${FOREIGN_LAUNCHERS.join(", ")}, not ${
        JSON.stringify(wanted)
      }`,
    );
  }
  const asked = wanted === undefined ? FOREIGN_LAUNCHERS : [wanted as ForeignLauncher];
  const passedOver: string[] = [];
  const found = asked.flatMap((launcher) =>
    read(environment, launcher, wanted !== undefined, (line) => passedOver.push(line)) ?? []
  );
  if (found.length === 0) {
    for (const line of passedOver) say(line);
    return null;
  }
  const [first, ...rest] = found;
  for (const other of rest) {
    if (other.rank === first.rank && other.size === first.size) continue;
    const [one, two] = [first, other].map(({ launcher, rank, size }) =>
      `${VARIABLES[launcher].words} say rank ${rank} of ${size}`
    );
    throw new RendezvousError(
      `cannot tell which rank this is: ${one}, ${two}; set CELGC_PLACE=${first.launcher} or ` +
        `CELGC_PLACE=${other.launcher} to say which to believe`,
    );
  }
  return first;
}

function read(
  environment: Environment,
  launcher: ForeignLauncher,
  wanted: boolean,
  say: (line: string) => void,
): LauncherEnvironment | null {
  const names = VARIABLES[launcher], rank = environment(names.rank);
  const together = names.startedSize === undefined ? undefined : environment(names.startedSize);
  const size = together ?? environment(names.size), { started } = names;
  if (
    rank !== undefined && !wanted && started !== undefined && environment(started) === undefined
  ) {
    // Such as a shell or a batch script in an allocation: nobody has started the other ranks.
    if (size !== "1") {
      say(
        `${names.rank} is passed over: without ${started}, srun has not started this process ` +
          `(CELGC_PLACE=${launcher} believes it all the same, CELGC_PLACE=none says nothing)`,
      );
    }
    return null;
  }
  if (rank === undefined && !wanted) return null;
  // Other programs use names as plain as RANK for other things.
  if (launcher === "torchrun" && size === undefined && !wanted) return null;
  for (const [name, value] of [[names.rank, rank], [names.size, size]]) {
    if (value !== undefined) continue;
    throw new RendezvousError(
      `cannot tell which rank this is from ${names.words}: ${name} is not set, and is needed with ` +
        `${
          name === names.rank ? names.size : names.rank
        }; CELGC_PLACE=none makes a job of one rank`,
    );
  }
  const optional = (name: string | undefined) => {
    const text = name === undefined ? undefined : environment(name);
    return text === undefined ? null : integer(name!, text, 0, 65536);
  };
  const ranks = integer(names.size, size!, 1, 65536);
  const localSize = optional(names.localSize), hosts = optional(names.hosts);
  const job = names.job.map((name) => environment(name)).filter((part) => part !== undefined);
  return {
    launcher,
    rank: integer(names.rank, rank!, 0, ranks - 1),
    size: ranks,
    near: hosts !== null ? hosts === 1 : localSize !== null ? localSize === ranks : null,
    job: job.length === 0 ? null : `${launcher}-${job.join("-")}`,
    address: launcher === "torchrun" ? masterAddress(environment) : null,
  };
}

/** Where torchrun's rank 0 is. */
function masterAddress(environment: Environment): LauncherEnvironment["address"] {
  const hostname = environment("MASTER_ADDR"), text = environment("MASTER_PORT");
  if (hostname === undefined || text === undefined) return null;
  const port = integer("MASTER_PORT", text, 1, 65534);
  try {
    // torchrun's own store may hold the port.
    return parseAddress(formatAddress(
      hostname,
      environment("TORCHELASTIC_USE_AGENT_STORE") === "True" ? port + 1 : port,
    ));
  } catch (error) {
    throw new RendezvousError(`MASTER_ADDR: ${(error as Error).message}`);
  }
}

/** Reads an integer. @throws RendezvousError if it is none, or out of range */
export function integer(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new RendezvousError(
      `${name} is an integer from ${least} to ${most}, not ${JSON.stringify(text)}`,
    );
  }
  return value;
}
