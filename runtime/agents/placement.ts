/**
 * Who has which ranks of a world: the order of its hosts, their names, and where they reach each other.
 *
 * @module
 */

import type { RemoteHost } from "./remote_host.ts";
import type { HostFacts } from "./this_host.ts";

/** The ranks of one host. */
export interface Place {
  /** The host's name, unlike that of any other. */
  readonly host: string;
  readonly first: number;
  readonly count: number;
  /** Null for the coordinator's own host. */
  readonly remote: RemoteHost | null;
  /** Folder for Unix sockets that the host's launchers have in common; null on this host for its own. */
  readonly sockets: string | null;
  /**
   * Number of the launcher among those that have been invited to the same host; null where a host has one,
   * or all were started by something else, as one a rank is.
   */
  readonly launcher: number | null;
}

/** Who has which ranks. */
export interface Placement {
  readonly size: number;
  /** In the order of ranks. */
  readonly places: readonly Place[];
  /** Where other hosts can reach this one. */
  readonly addresses: readonly string[];
  /** All addresses of the world; null if others may come to it. */
  readonly peers: readonly string[] | null;
}

/** The coordinator's own host. */
export interface OwnHost extends HostFacts {
  /** Its ranks; 0 if it has none. */
  readonly ranks: number;
}

/** What each host is called, by its identity: names that several have get their addresses behind them. */
export function nameHosts(own: HostFacts, remotes: readonly RemoteHost[]): Map<string, string> {
  const names = new Map([[own.identity, own.name]]);
  for (const { hello } of remotes) {
    const { name, identity } = hello.host;
    if (names.has(identity)) continue;
    const isTaken = [...names.values()].includes(name);
    const unlike = [`${name} (${hello.addresses[0]})`, `${name} (${identity.slice(0, 8)})`]
      .find((other) => ![...names.values()].includes(other))!;
    names.set(identity, isTaken ? unlike : name);
  }
  return names;
}

/**
 * The places of all hosts.
 *
 * @param remotes the others, in their order
 * @param invited whether they have come by invitation, so that a host may have several launchers
 */
export function placeHosts(
  own: OwnHost,
  remotes: readonly RemoteHost[],
  invited: boolean,
): Place[] {
  const names = nameHosts(own, remotes), sockets = new Map<string, string | null>();
  for (const { hello } of remotes) {
    if (!sockets.has(hello.host.identity)) sockets.set(hello.host.identity, hello.sockets);
  }
  const places: Omit<Place, "launcher">[] = [];
  let first = 0;
  if (own.ranks > 0) {
    places.push({ host: own.name, first, count: own.ranks, remote: null, sockets: null });
    first += own.ranks;
  }
  for (const remote of remotes) {
    const { identity } = remote.hello.host, count = remote.hello.ranks;
    places.push({
      host: names.get(identity)!,
      first,
      count,
      remote,
      sockets: identity === own.identity && own.ranks > 0 ? null : sockets.get(identity) ?? null,
    });
    first += count;
  }
  return places.map((place) => {
    const same = places.filter(({ host }) => host === place.host);
    const launcher = invited && same.length > 1 ? same.indexOf(place) : null;
    return { ...place, launcher };
  });
}
