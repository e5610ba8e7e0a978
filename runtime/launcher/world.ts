/**
 * The hosts that a job runs on, each with a launcher: this one, the coordinator, and the agents on others.
 *
 * @module
 */

import { tmpdir } from "node:os";
import { join } from "node:path";
import { Coordinator } from "../agents/coordinator.ts";
import { type Invitation, writeInvitationFile } from "../agents/invitation.ts";
import type { Placement } from "../agents/placement.ts";
import { describeProgram } from "../agents/program.ts";
import type { RemoteHost } from "../agents/remote_host.ts";
import { type SshAgents, startAgents } from "../agents/ssh.ts";
import { addressesOf } from "../agents/this_host.ts";
import { counted } from "../base/words.ts";
import {
  DEFAULT_TIMEOUT_SECONDS,
  defaultJoinSeconds,
  processEnvironment,
} from "../bootstrap/environment.ts";
import type { TransportKind } from "../bootstrap/mesh.ts";
import { HostFolder } from "../ranks/host_folder.ts";
import { hasSockets, type HostPlan, peersOf, type TlsPaths } from "../ranks/host_ranks.ts";
import { BEHIND } from "../rendezvous/gateway.ts";
import type { AuthenticatingListener } from "../security/authenticating_listener.ts";
import { formatAddress } from "../security/endpoint.ts";
import type { Credentials } from "../security/handshake.ts";
import type { World, WorldOptions } from "./across_hosts.ts";
import { Interrupt, InterruptedError } from "./interrupts.ts";
import { announcePlace, type KnownPlace, knownTo, mpiLauncherOf } from "./launcher_place.ts";
import { planWorld, type WorldPlan } from "./world_plan.ts";

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

/** A world's options, and what follows from them. */
interface WorldSettings extends Omit<WorldOptions, "mostRanks" | "place">, WorldPlan {
  readonly place: KnownPlace | undefined;
  /** Whether those of other hosts are invited, and nothing of ours or of others starts them. */
  readonly isByInvitation: boolean;
  readonly version: string;
  readonly timeout: number;
  readonly joinTimeout: number;
  readonly say: (line: string) => void;
}

/** What a world is made of. */
interface WorldParts {
  readonly settings: WorldSettings;
  /** This host's side. */
  readonly coordinator: Coordinator;
  /** This host's own folder. */
  readonly folder: HostFolder;
  /** What this host's ranks need for TLS, or null. */
  readonly tls: TlsPaths | null;
  /** The agents that ssh has started; null where something else has. */
  readonly agents: SshAgents | null;
  /** What is to be undone in the end, the last first. */
  readonly cleanUps: AsyncDisposableStack;
}

/** Hosts with their launchers, from the inside. */
export class OpenedWorld implements World {
  /** This host's side. */
  readonly coordinator: Coordinator;
  readonly #parts: WorldParts;
  #placement: Placement | null = null;
  #jobs = 0;
  #outcome: { readonly code: number; readonly message: string | null } = { code: 0, message: null };

  /** See {@linkcode openWorld}. */
  constructor(parts: WorldParts) {
    this.#parts = parts;
    this.coordinator = parts.coordinator;
  }

  /** Most ranks of a job to which other hosts may come while it runs; null if none may. */
  get mostRanks(): number | null {
    return this.#parts.settings.mostRanks;
  }

  /** Number of all ranks. */
  get size(): number {
    return this.#placement!.size;
  }

  /** Number of those of this host. */
  get here(): number {
    return this.#parts.settings.ranks;
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
    using interrupt = new Interrupt(this.#parts.settings);
    return await this.completeUnless(interrupt);
  }

  /** As {@linkcode OpenedWorld.complete}, unless there has been an interrupt already. */
  async completeUnless(interrupt: Interrupt): Promise<Placement> {
    const { coordinator, agents } = this.#parts, { signal } = interrupt;
    coordinator.onInterrupt = (how) => interrupt.take(how);
    try {
      return this.#placement = await coordinator.complete(agents?.failed ?? null, signal);
    } catch (error) {
      if (signal.aborted) throw new InterruptedError(interrupt.how);
      throw error;
    }
  }

  /** What this host's ranks of a job have in common. */
  openHost(
    transport: TransportKind | "mpi",
    cwd: string | undefined,
    placement: Placement,
  ): OpenHost {
    const { coordinator, tls, settings } = this.#parts;
    Deno.mkdirSync(this.sockets, { recursive: true });
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
        peers: peersOf(placement.peers, BEHIND),
        sockets: hasSockets(transport) && Deno.build.os !== "windows" ? this.sockets : null,
        cwd,
        tls,
        addresses: placement.addresses,
        dialsOut: false,
        gateway: settings.port === undefined || gateway === null
          ? null
          : formatAddress(gateway.near, gateway.port),
      },
    };
  }

  /** Folder for the sockets of this host's ranks, whichever launcher starts them. */
  get sockets(): string {
    return this.#parts.folder.sockets;
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
      CELGC_PLACE: mpiLauncherOf(this.#parts.settings.place, counts),
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
    if (this.#parts.settings.place === undefined) this.coordinator.letGo(host, code, why);
  }

  /** Lets the agents go, and stops listening. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { cleanUps } = this.#parts, { code, message } = this.#outcome;
    if (cleanUps.disposed) return;
    cleanUps.defer(() => this.coordinator.close(code, message));
    await cleanUps.disposeAsync();
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
  const settings = await settingsOf(options);
  using interrupt = new Interrupt(settings);
  const coordinator = await openCoordinator(settings), cleanUps = new AsyncDisposableStack();
  try {
    const folder = cleanUps.use(await HostFolder.make());
    const tls = coordinator.tls && await folder.writeTls(coordinator.tls);
    const invitation = coordinator.invitation();
    const agents = await callOthers(settings, invitation, coordinator.port, cleanUps);
    await inviteOthers(settings, invitation, folder, cleanUps);
    const world = new OpenedWorld({ settings, coordinator, folder, tls, agents, cleanUps });
    await world.completeUnless(interrupt);
    if (interrupt.signal.aborted) throw new InterruptedError(interrupt.how);
    agents?.settle();
    checkSize(world, settings);
    return world;
  } catch (error) {
    const message = (error as Error).message.replace(/^cannot launch: /, "");
    cleanUps.defer(() => coordinator.close(1, message));
    await cleanUps.disposeAsync();
    throw error;
  }
}

/** @throws RangeError if options contradict each other */
async function settingsOf(options: WorldOptions): Promise<WorldSettings> {
  const plan = await planWorld(options), place = options.place as KnownPlace | undefined;
  const isByInvitation = plan.seats === null && place === undefined;
  const { timeout = DEFAULT_TIMEOUT_SECONDS, version = RUNTIME_VERSION } = options;
  const {
    joinTimeout = isByInvitation ? JOIN_SECONDS : defaultJoinSeconds(timeout),
    say = (line: string) => console.error(`celgc: ${line}`),
  } = options;
  return { ...options, ...plan, place, isByInvitation, version, timeout, joinTimeout, say };
}

/** Begins to listen to the launchers of other hosts. */
async function openCoordinator(settings: WorldSettings): Promise<Coordinator> {
  const { ranks, expected, mostRanks, version, timeout, joinTimeout, say } = settings;
  const { isNear, listen, port, place } = settings;
  const known = place === undefined ? null : await knownTo(place);
  return await Coordinator.open({
    ranks,
    expected,
    mostRanks,
    version,
    listen: isNear ? ["127.0.0.1"] : listen === undefined ? null : addressesOf(listen),
    port: port ?? place?.info.rendezvous?.port ?? 0,
    tls: !isNear,
    ...(known === null ? {} : { known }),
    timeout,
    joinTimeout,
    say,
  });
}

/**
 * Tells those launchers where the coordinator is that something else has started, or starts them by ssh.
 *
 * @param cleanUps takes what ends that
 * @returns the agents that ssh has started, if it has
 */
async function callOthers(
  { place, seats, port, ssh, say }: WorldSettings,
  invitation: Invitation,
  coordinatorPort: number,
  cleanUps: AsyncDisposableStack,
): Promise<SshAgents | null> {
  if (place !== undefined) {
    say(`launcher ${place.index} of ${place.count}, from ${place.source}: the coordinator`);
    cleanUps.defer(await announcePlace(place, invitation, coordinatorPort));
    return null;
  }
  if (seats === null) return null;
  const agents = startAgents(seats, invitation, {
    program: import.meta.resolve("./agent_main.ts"),
    ...port === undefined ? {} : { port },
    ...ssh,
  }, say);
  cleanUps.defer(() => agents.close());
  return agents;
}

/**
 * Writes an invitation for those who are missing and those who may come later, if there are any, and says where.
 *
 * @param folder looks after it
 * @param cleanUps takes what removes it
 */
async function inviteOthers(
  { ranks, size, mostRanks, isByInvitation, joinTimeout, say, ...options }: WorldSettings,
  invitation: Invitation,
  folder: HostFolder,
  cleanUps: AsyncDisposableStack,
): Promise<void> {
  const missing = isByInvitation ? size - ranks : 0;
  if (missing === 0 && mostRanks === null) return;
  const path = options.invitation ?? join(tmpdir(), `celgc-${invitation.job}.invitation`);
  cleanUps.defer(await writeInvitationFile(path, invitation));
  await folder.lookAfter(path);
  const who: string[] = [], terms: string[] = [];
  if (missing > 0) {
    who.push(counted(missing, "rank"));
    terms.push(` until ${new Date(Date.now() + 1000 * joinTimeout).toTimeString().slice(0, 5)}`);
  }
  if (mostRanks !== null) {
    who.push("hosts");
    terms.push(`, ${counted(mostRanks, "rank")} at most`);
  }
  say(
    `${who.join(" and, later, ")} can join at ${invitation.addresses.join(", ")}${
      terms.join("")
    }, with the invitation in ${path}, ` +
      "which holds the job's secret: deno task join --invitation FILE --ranks n",
  );
}

/** @throws RangeError if launchers that something else has started have other ranks than was said */
function checkSize(world: OpenedWorld, { size, place }: WorldSettings): void {
  if (world.size === size) return;
  const { source, count } = place!;
  throw new RangeError(
    `cannot launch: ${source} say that there are ${count} launchers, and they have ` +
      `${
        counted(world.size, "rank")
      } together, not ${size}: give each of them the same --ranks, or all of ` +
      `them --world ${world.size}`,
  );
}
