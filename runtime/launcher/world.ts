/**
 * The hosts that a job runs on, each with a launcher: this one, the coordinator, and the agents on others.
 *
 * @module
 */

import { tmpdir } from "node:os";
import { join } from "node:path";
import { Coordinator } from "../agents/coordinator.ts";
import { writeInvitationFile } from "../agents/invitation.ts";
import type { Placement } from "../agents/placement.ts";
import { describeProgram } from "../agents/program.ts";
import type { RemoteHost } from "../agents/remote_host.ts";
import { startAgents } from "../agents/ssh.ts";
import { addressesOf } from "../agents/this_host.ts";
import { counted } from "../base/words.ts";
import {
  DEFAULT_TIMEOUT_SECONDS,
  defaultJoinSeconds,
  processEnvironment,
} from "../bootstrap/environment.ts";
import {
  hasSockets,
  type HostPlan,
  makeHostFolder,
  removeHostFolder,
} from "../ranks/host_ranks.ts";
import { BEHIND } from "../rendezvous/gateway.ts";
import { Watchdog } from "../ranks/watchdog.ts";
import { CERTIFICATE_NAME } from "../security/certificate.ts";
import { formatAddress, type TlsMaterial } from "../security/endpoint.ts";
import type { Credentials } from "../security/handshake.ts";
import type { AuthenticatingListener } from "../security/authenticating_listener.ts";
import type { TransportKind } from "../bootstrap/mesh.ts";
import { InterruptedError } from "./interrupted_error.ts";
import { announcePlace, type KnownPlace, knownTo, mpiLauncherOf } from "./launcher_place.ts";
import { onInterrupt } from "./interrupts.ts";
import { planWorld } from "./world_plan.ts";
import type { World, WorldOptions } from "./across_hosts.ts";

/** How long people on other hosts may take to join, in seconds. */
const JOIN_SECONDS = 600;

/** The version of the runtime, for programs that name none. */
export const RUNTIME_VERSION = "0.1.0";

/** Where the ranks of a job meet, and what those of this host have in common. */
export interface OpenHost {
  readonly listener: Deno.Listener | AuthenticatingListener;
  readonly job: Credentials;
  /** In hexadecimal digits. */
  readonly secret: string;
  readonly host: HostPlan;
}

/** Hosts with their launchers, from the inside. */
export class OpenedWorld implements World {
  /** This host's side. */
  readonly coordinator: Coordinator;
  /** Most ranks of a job to which other hosts may come while it runs; null if none may. */
  readonly mostRanks: number | null;
  /** A private folder on this host, for sockets and certificates. */
  readonly folder: string;
  readonly #options: WorldOptions;
  readonly #failed: Promise<never>;
  /** What is to be undone in the end, the last first. */
  readonly #cleanUps: AsyncDisposableStack;
  #placement: Placement | null = null;
  #jobs = 0;
  #outcome: { readonly code: number; readonly message: string | null } = { code: 0, message: null };

  /** See {@linkcode openWorld}. */
  constructor(
    options: WorldOptions,
    coordinator: Coordinator,
    mostRanks: number | null,
    folder: string,
    failed: Promise<never>,
    cleanUps: AsyncDisposableStack,
  ) {
    this.#options = options;
    this.coordinator = coordinator;
    this.mostRanks = mostRanks;
    this.folder = folder;
    this.#failed = failed;
    this.#cleanUps = cleanUps;
  }

  /** Number of all ranks. */
  get size(): number {
    return this.#placement!.size;
  }

  /** Number of those of this host. */
  get here(): number {
    return this.#options.ranks;
  }

  /** Who has which ranks, in their order. */
  get hosts(): readonly {
    readonly host: string;
    readonly first: number;
    readonly count: number;
  }[] {
    return this.#placement!.places.map(({ host, first, count }) => ({ host, first, count }));
  }

  /**
   * Waits until all hosts are there; again, after one was lost, for another in its place.
   *
   * @throws RendezvousError naming what is missing
   * @throws InterruptedError
   */
  async complete(): Promise<Placement> {
    const controller = new AbortController();
    let how = "abort";
    const abort = (name: string) => {
      how = name;
      controller.abort();
    };
    const undo = onInterrupt(this.#options, abort);
    if (this.#options.signal?.aborted) abort("abort");
    this.coordinator.onInterrupt = abort;
    try {
      return this.#placement = await this.coordinator.complete(this.#failed, controller.signal);
    } catch (error) {
      if (controller.signal.aborted) throw new InterruptedError(how);
      throw error;
    } finally {
      undo();
    }
  }

  /** What this host's ranks of a job have in common. */
  openHost(
    transport: TransportKind | "mpi",
    cwd: string | undefined,
    placement: Placement,
  ): OpenHost {
    const { coordinator, folder } = this, { tls } = coordinator;
    Deno.mkdirSync(this.sockets, { recursive: true });
    const peers = placement.peers &&
      [...new Set([...placement.peers, BEHIND, "0.0.0.0", "::"])];
    const { gateway } = coordinator;
    gateway?.forget();
    return {
      listener: coordinator.door,
      job: coordinator.job,
      secret: coordinator.secret,
      host: {
        first: 0,
        host: coordinator.host.name,
        launcher: placement.places.find(({ remote }) => remote === null)?.launcher,
        rendezvous: formatAddress(coordinator.near, coordinator.port),
        peers: peers?.some((peer) => peer.includes("%")) ? null : peers,
        sockets: hasSockets(transport) && Deno.build.os !== "windows" ? this.sockets : null,
        cwd,
        tls: tls === null ? null : {
          cert: `${folder}/cert.pem`,
          key: `${folder}/key.pem`,
          ca: `${folder}/ca.pem`,
          name: CERTIFICATE_NAME,
        },
        addresses: placement.addresses,
        dialsOut: false,
        gateway: this.#options.port === undefined || gateway === null
          ? null
          : formatAddress(gateway.near, gateway.port),
      },
    };
  }

  /** Folder for the sockets of this host's ranks, whichever launcher starts them. */
  get sockets(): string {
    return `${this.folder}/s`;
  }

  /**
   * The variables by which ranks find the MPI library that connects them.
   *
   * @throws RangeError if none can
   */
  mpiVariables({ places }: Placement): Readonly<Record<string, string>> {
    const counts = places.map(({ count }) => count);
    const library = processEnvironment("CELGC_MPI_LIBRARY");
    return {
      CELGC_PLACE: mpiLauncherOf(this.#options.place as KnownPlace | undefined, counts),
      ...library === undefined ? {} : { CELGC_MPI_LIBRARY: library },
    };
  }

  /** How agents are told which program to run. */
  describe(program: URL): ReturnType<typeof describeProgram> {
    return describeProgram(program);
  }

  /** The number of a job that begins. */
  nextJob(): number {
    return ++this.#jobs;
  }

  /** How its last job ended, which is what agents end with. */
  get outcome(): { readonly code: number; readonly message: string | null } {
    return this.#outcome;
  }

  set outcome(outcome: { readonly code: number; readonly message: string | null }) {
    this.#outcome = outcome;
  }

  /**
   * Lets a host go that has no ranks any more, unless something else has started its launcher: that may end all when
   * one of its processes fails.
   *
   * @param code what its launcher ends with
   */
  letGo(host: RemoteHost, code: number, why: string): void {
    if (this.#options.place === undefined) this.coordinator.letGo(host, code, why);
  }

  /** Lets the agents go, and stops listening. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#cleanUps.disposed) return;
    this.#cleanUps.defer(() => this.coordinator.close(this.#outcome.code, this.#outcome.message));
    await this.#cleanUps.disposeAsync();
  }
}

/**
 * Opens the hosts that jobs are to run on, and waits until all are there.
 *
 * @throws RangeError if an option is wrong
 * @throws RendezvousError if a host does not come, or cannot be reached
 * @throws InterruptedError if it was given up before
 */
export async function openWorld(options: WorldOptions): Promise<OpenedWorld> {
  const say = options.say ?? ((line: string) => console.error(`celgc: ${line}`));
  const { ranks, seats, expected, mostRanks, isNear, size } = await planWorld(options);
  const { timeout = DEFAULT_TIMEOUT_SECONDS, version = RUNTIME_VERSION } = options;
  const place = options.place as KnownPlace | undefined;
  const byInvitation = seats === null && place === undefined;
  const joinTimeout = options.joinTimeout ??
    (byInvitation ? JOIN_SECONDS : defaultJoinSeconds(timeout));
  const known = place === undefined ? null : await knownTo(place);
  const listen = isNear
    ? ["127.0.0.1"]
    : options.listen === undefined
    ? null
    : addressesOf(options.listen);
  const coordinator = await Coordinator.open({
    ranks,
    expected,
    mostRanks,
    version,
    listen,
    port: options.port ?? place?.info.rendezvous?.port ?? 0,
    tls: !isNear,
    ...(known === null ? {} : { known }),
    timeout,
    joinTimeout,
    say,
  });
  const cleanUps = new AsyncDisposableStack();
  let failed = new Promise<never>(() => {}), settle = () => {};
  try {
    const folder = await makeHostFolder();
    cleanUps.defer(() => removeHostFolder(folder));
    cleanUps.adopt(new Watchdog(folder), (watchdog) => watchdog.close());
    if (coordinator.tls !== null) await writeTls(folder, coordinator.tls);
    const invitation = coordinator.invitation();
    if (place !== undefined) {
      say(`launcher ${place.index} of ${place.count}, from ${place.source}: the coordinator`);
      cleanUps.defer(await announcePlace(place, invitation, coordinator.port));
    } else if (seats !== null) {
      const agents = startAgents(seats, invitation, {
        program: import.meta.resolve("./agent_main.ts"),
        ...options.port === undefined ? {} : { port: options.port },
        ...options.ssh,
      }, say);
      cleanUps.defer(() => agents.close());
      ({ failed, settle } = agents);
    }
    const missing = byInvitation ? size - ranks : 0;
    if (missing > 0 || mostRanks !== null) {
      const path = options.invitation ?? join(tmpdir(), `celgc-${invitation.job}.invitation`);
      cleanUps.defer(await writeInvitationFile(path, invitation));
      const until = new Date(Date.now() + 1000 * joinTimeout).toTimeString().slice(0, 5);
      const first = missing > 0 ? [counted(missing, "rank")] : [];
      const later = mostRanks === null ? [] : ["hosts"];
      say(
        `${[...first, ...later].join(" and, later, ")} can join at ${
          invitation.addresses.join(", ")
        }${missing > 0 ? ` until ${until}` : ""}${
          mostRanks === null ? "" : `, ${counted(mostRanks, "rank")} at most`
        }, with the invitation in ${path}, ` +
          "which holds the job's secret: deno task join --invitation FILE --ranks n",
      );
    }
    const world = new OpenedWorld(
      { ...options, ranks, joinTimeout },
      coordinator,
      mostRanks,
      folder,
      failed,
      cleanUps,
    );
    await world.complete();
    settle();
    if (world.size !== size) {
      throw new RangeError(
        `cannot launch: ${place!.source} say that there are ${
          place!.count
        } launchers, and they have ` +
          `${
            counted(world.size, "rank")
          } together, not ${size}: give each of them the same --ranks, or all of ` +
          `them --world ${world.size}`,
      );
    }
    return world;
  } catch (error) {
    const message = (error as Error).message.replace(/^cannot launch: /, "");
    cleanUps.defer(() => coordinator.close(1, message));
    await cleanUps.disposeAsync();
    throw error;
  }
}

/** Writes what TLS needs to a private folder. */
async function writeTls(folder: string, { cert, key, ca }: TlsMaterial): Promise<void> {
  await Deno.writeTextFile(`${folder}/cert.pem`, cert, { mode: 0o600 });
  await Deno.writeTextFile(`${folder}/key.pem`, key, { mode: 0o600 });
  await Deno.writeTextFile(`${folder}/ca.pem`, ca, { mode: 0o600 });
}
