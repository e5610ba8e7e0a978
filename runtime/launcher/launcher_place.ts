/**
 * Launchers that something else has started, one a node or one a rank: srun, mpirun, torchrun, an Indexed
 * Job of Kubernetes. The first is the coordinator, the others are agents, and they find each other as ranks
 * of programs do: by a file, or at an address with a secret that all of them have.
 *
 * @module
 */

import type { LauncherPlace } from "./across_hosts.ts";
import type { CoordinatorAddress } from "../agents/agent.ts";
import { decodeInvitation, encodeInvitation, type Invitation } from "../agents/invitation.ts";
import {
  fromForeignLauncher,
  processEnvironment,
  type ProcessInfo,
} from "../bootstrap/environment.ts";
import {
  describeLauncher,
  type Environment,
  type ForeignLauncher,
  startsMpi,
} from "../bootstrap/foreign_launchers.ts";
import { readSecret } from "../bootstrap/find_rendezvous.ts";
import { RendezvousError } from "../base/errors.ts";
import { counted } from "../base/words.ts";
import { readRendezvousText, writeRendezvousFile } from "../rendezvous/rendezvous_file.ts";
import { makeCertificate } from "../security/certificate.ts";
import { formatAddress } from "../security/endpoint.ts";
import { NEEDS_MPIRUN } from "./options.ts";

/** How long an agent waits before it reads again where the coordinator is, in ms. */
const RETRY_MS = 100;

/** A place, and how the launchers find each other. */
export interface KnownPlace extends LauncherPlace {
  /** Whether all of them are known to be on this host. */
  readonly near: boolean;
  /** Their number on this host, if that is known. */
  readonly localCount: number | null;
  readonly info: ProcessInfo;
}

/**
 * Finds out whether this process is one of several launchers.
 *
 * @returns null if it is the only one
 * @throws RendezvousError if the environment contradicts itself, or says too little
 */
export function launcherPlace(environment: Environment = processEnvironment): KnownPlace | null {
  // A rank of ours may launch a job of its own.
  if (environment("CELGC_RANK") !== undefined) return null;
  const info = fromForeignLauncher(
    // Whatever the ranks talk over, launchers find each other as ranks without an MPI library do.
    (name) => name === "CELGC_TRANSPORT" ? undefined : environment(name),
    (line) => console.error(`celgc: ${line}`),
  );
  if (info === null) return null;
  const { rank: index, size: count, near, launcher } = info;
  const local = { openmpi: "OMPI_COMM_WORLD_LOCAL_SIZE", torchrun: "LOCAL_WORLD_SIZE" } as Record<
    string,
    string
  >;
  const text = environment(local[launcher!] ?? "MPI_LOCALNRANKS");
  return {
    index,
    count,
    source: describeLauncher(launcher!),
    near,
    localCount: near ? count : text === undefined ? null : Number(text),
    info,
  };
}

/** What to do where there are too many launchers, or too few. */
const ONE_EACH = "start one for each rank, and leave --ranks out";

/**
 * Whose MPI library connects the ranks of launchers: of what has started one for each rank.
 *
 * @param counts how many ranks each launcher has, as far as that is known
 * @throws RangeError if nothing has, or it has no such library
 */
export function mpiLauncherOf(
  place: KnownPlace | undefined,
  counts: readonly number[],
): ForeignLauncher {
  const launcher = place?.info.launcher ?? undefined, several = counts.find((count) => count > 1);
  if (!startsMpi(launcher)) throw new RangeError(NEEDS_MPIRUN);
  if (several === undefined) return launcher;
  throw new RangeError(
    `cannot launch: an MPI library connects the processes that its launcher has started, and one of them ` +
      `would be ${several} ranks: ${ONE_EACH}`,
  );
}

/** What the coordinator and the agents know of each other beforehand; null if nothing. */
export async function knownTo(
  { info }: KnownPlace,
): Promise<{ readonly job: string; readonly secret: Uint8Array } | null> {
  if (info.rendezvous === null) return null;
  return { job: info.job, secret: await readSecret(info) };
}

/**
 * At the coordinator: lets the agents know where it is.
 *
 * @returns what takes that back
 */
export async function announcePlace(
  { info, near }: KnownPlace,
  invitation: Invitation,
  port: number,
): Promise<() => void> {
  if (info.rendezvousFile === null) return () => {};
  const addresses = near
    ? [formatAddress("127.0.0.1", port)]
    : info.address === null
    ? invitation.addresses
    : [formatAddress(info.address, port), ...invitation.addresses];
  return await writeRendezvousFile(
    `${info.rendezvousFile}-launchers`,
    encodeInvitation({ ...invitation, addresses }),
  );
}

/** At an agent: where the coordinator is; waits for it to say so. */
export async function findCoordinator(
  place: KnownPlace,
  deadline: number,
): Promise<CoordinatorAddress> {
  const { info } = place, known = await knownTo(place);
  if (known !== null) {
    const { hostname, port } = info.rendezvous!;
    return {
      addresses: [formatAddress(hostname, port)],
      job: known.job,
      secret: known.secret.toHex(),
      ca: place.near ? null : (await makeCertificate({ secret: known.secret })).ca,
    };
  }
  for (;;) {
    try {
      return decodeInvitation(
        await readRendezvousText(`${info.rendezvousFile}-launchers`, deadline),
      );
    } catch (error) {
      // It may be one that an earlier job has left.
      if (!(error instanceof RendezvousError) || performance.now() >= deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/**
 * Checks how many ranks each of the launchers is to start.
 *
 * @throws RangeError if that is certainly a mistake
 */
export function checkPlace(place: KnownPlace, ranks: number, world: number | undefined): void {
  const { source, count, localCount } = place;
  if (localCount !== null && localCount > 1 && ranks > 1) {
    throw new RangeError(
      `cannot launch: ${source} say that ${localCount} launchers run on this host, and each would start ` +
        `${ranks} ranks: start one launcher a host, or ${ONE_EACH}`,
    );
  }
  if (world !== undefined && world < count) {
    throw new RangeError(
      `cannot launch: ${source} say that there are ${count} launchers, more than a world of ${
        counted(world, "rank")
      } ` +
        "has room for",
    );
  }
}
