/**
 * Who is to come to a world, as its options say before anybody has.
 *
 * @module
 */

import { systemReason } from "../base/system_error.ts";
import type { Expected } from "../agents/coordinator.ts";
import { type HostSlots, parseHostfile, parseHosts } from "../agents/hostfile.ts";
import { hostName, ownAddresses } from "../agents/this_host.ts";
import { counted } from "../base/words.ts";
import { isLoopback } from "../security/endpoint.ts";
import type { WorldOptions } from "./across_hosts.ts";
import { checkPlace, type KnownPlace, mpiLauncherOf } from "./launcher_place.ts";
import { transportOf } from "./options.ts";

/**
 * The hosts that options name, if this one is not among them: rank 0 is then on the first of them.
 *
 * @throws RangeError if they cannot be read
 */
export async function hostsElsewhere(
  options: Pick<WorldOptions, "world" | "hosts" | "hostfile">,
): Promise<readonly HostSlots[] | null> {
  if (options.hosts === undefined && options.hostfile === undefined) return null;
  const { here, others } = await namedHosts(options);
  return here === 0 ? others : null;
}

/** The hosts that options name: ranks of this one, and the others. */
async function namedHosts(
  { hosts, hostfile, world }: Pick<WorldOptions, "world" | "hosts" | "hostfile">,
): Promise<{ readonly here: number; readonly others: readonly HostSlots[] }> {
  const all = hosts !== undefined
    ? parseHosts(hosts)
    : parseHostfile(await readHostfile(hostfile!));
  const own = new Set(["localhost", hostName(), ...ownAddresses()]);
  const isOwn = ({ name }: HostSlots) => own.has(name) || isLoopback(name);
  const wanted = take(all, world);
  return {
    here: wanted.filter(isOwn).reduce((sum, { slots }) => sum + slots, 0),
    others: wanted.filter((host) => !isOwn(host)),
  };
}

/** Who is to come. */
export interface WorldPlan {
  /** Ranks of this host. */
  readonly ranks: number;
  /** Hosts to reach by ssh, by their seats; null if they come by themselves. */
  readonly seats: ReadonlyMap<number, HostSlots> | null;
  readonly expected: Expected;
  /** Most ranks of a job to which other hosts may come while it runs; null if none may. */
  readonly mostRanks: number | null;
  /** Whether all are on this host, and no other comes. */
  readonly isNear: boolean;
  /** Number of all ranks. */
  readonly size: number;
}

/**
 * Number of all ranks, and of those of this host, as options say before anybody has come.
 *
 * @throws RangeError if options contradict each other
 */
export async function worldSize(
  options: WorldOptions,
): Promise<{ readonly size: number; readonly here: number }> {
  const { size, ranks } = await planWorld(options);
  return { size, here: ranks };
}

/** @throws RangeError if options contradict each other */
export async function planWorld(options: WorldOptions): Promise<WorldPlan> {
  const plan = await planHosts(options), { mostRanks = null, place } = options;
  if (mostRanks === null || place !== undefined) return { ...plan, mostRanks: null };
  if (Number.isInteger(mostRanks) && mostRanks >= plan.size && mostRanks <= 65536) {
    return { ...plan, mostRanks, isNear: false };
  }
  throw new RangeError(
    `cannot launch: the most ranks that there may be are at least the ${plan.size} that there are, not ` +
      `${mostRanks}`,
  );
}

/** As {@linkcode planWorld}, without those who come later. */
async function planHosts(options: WorldOptions): Promise<Omit<WorldPlan, "mostRanks">> {
  const { ranks, world, hosts, hostfile } = options,
    place = options.place as KnownPlace | undefined;
  const ways = { world, hosts, hostfile, place };
  const given = Object.entries(ways).filter(([name, value]) =>
    value !== undefined && name !== "world"
  );
  if (given.length > 1) {
    throw new RangeError(
      `cannot launch: ${
        given.map(([name]) => name).join(" and ")
      } each say which hosts there are: ` +
        "give one of them",
    );
  }
  if (transportOf(options) === "mpi") mpiLauncherOf(place, [ranks]);
  const { port } = options;
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65535)) {
    throw new RangeError(`cannot launch: a port is from 1 to 65535, not ${port}`);
  }
  if (place !== undefined) {
    checkPlace(place, ranks, world);
    const seats = Array.from({ length: place.count }, (_, index) => ({
      name: `launcher ${index}`,
      ranks: null,
    }));
    return {
      ranks,
      seats: null,
      expected: { kind: "seats", seats: seats.slice(1) },
      isNear: place.near,
      size: world ?? ranks * place.count,
    };
  }
  if (hosts === undefined && hostfile === undefined) {
    const size = world ?? ranks;
    if (Number.isInteger(size) && size >= ranks && size <= 65536) {
      return { ranks, seats: null, expected: { kind: "ranks", size }, isNear: false, size };
    }
    throw new RangeError(
      `cannot launch: the world has all ranks, at least the ${ranks} of this host, not ${size}`,
    );
  }
  const { here, others } = await namedHosts(options);
  return {
    ranks: here,
    seats: new Map(others.entries()),
    expected: {
      kind: "seats",
      seats: others.map(({ name, slots }) => ({ name, ranks: slots })),
    },
    isNear: others.length === 0,
    size: others.reduce((sum, { slots }) => sum + slots, here),
  };
}

/** The first so many slots of the hosts. */
function take(hosts: readonly HostSlots[], world: number | undefined): HostSlots[] {
  const slots = hosts.reduce((sum, host) => sum + host.slots, 0);
  if (world === undefined) return [...hosts];
  if (world > slots) {
    throw new RangeError(
      `cannot launch: the hosts take ${
        counted(slots, "rank")
      }, not the ${world} of the world: name more slots`,
    );
  }
  let left = world;
  return hosts.flatMap(({ name, slots }) => {
    const taken = Math.min(slots, left);
    left -= taken;
    return taken > 0 ? [{ name, slots: taken }] : [];
  });
}

async function readHostfile(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new RangeError(
      `cannot launch: the hostfile cannot be read: ${systemReason(error)}`,
      {
        cause: error,
      },
    );
  }
}
