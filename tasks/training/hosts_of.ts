/**
 * On which hosts the ranks of a run are, what they compute on, and what their frames go over.
 *
 * @module
 */

import { processEnvironment } from "../../runtime/bootstrap/environment.ts";
import type { Communicator } from "../../runtime/communicator.ts";
import type { RunHost } from "../logs/records.ts";
import { gatherTexts } from "../run/byte_stream.ts";

/** What a rank says of itself. */
interface Own {
  readonly device: string;
  readonly launcher: string | null;
  readonly carrier: RunHost["carrier"];
}

/**
 * The hosts of a communicator, the same on all ranks; one with several launchers is an entry for each.
 * Collective.
 *
 * @param device of this rank, in words
 */
export async function hostsOf(
  comm: Communicator,
  device: string,
): Promise<RunHost[]> {
  const { hosts, carriers, dialsOut } = comm.network;
  // Those to other hosts: within one, memory may stand beside a socket.
  const carrier = carriers.find((carrier, rank) => carrier && hosts[rank] !== hosts[comm.rank]);
  const launcher = processEnvironment("CELGC_LAUNCHER") ?? null;
  const own: Own = { device, launcher, carrier: carrier ?? null };
  const all = (await gatherTexts(comm, JSON.stringify(own))).map((text): Own => JSON.parse(text));
  const entries = Map.groupBy(
    hosts.keys(),
    (rank) => JSON.stringify([hosts[rank], all[rank].launcher]),
  );
  return [...entries.values()].map((ranks) => {
    const { launcher, carrier } = all[ranks[0]];
    return {
      name: hosts[ranks[0]],
      ...launcher === null ? {} : { launcher: Number(launcher) },
      ranks,
      devices: [...new Set(ranks.map((rank) => all[rank].device))],
      carrier,
      ...dialsOut[ranks[0]] ? { dialsOut: true } : {},
    };
  });
}

/** What this rank has sent through the relay. */
export interface RelayedBytes {
  /** Every two hosts that can only dial out, by their names, in the order of ranks; the same on all ranks. */
  readonly pairs: readonly (readonly [string, string])[];
  /** By pair, in bytes. */
  readonly sent: readonly number[];
}

/** What has gone through the relay between the hosts of a communicator, from this rank. */
export function relayedBytes({ rank, network }: Communicator): RelayedBytes {
  const { hosts, dialsOut, relayed } = network;
  const hidden = [...new Set(hosts.filter((_, peer) => dialsOut[peer]))];
  const pairs = hidden.flatMap((one, i) =>
    hidden.slice(i + 1).map((other): [string, string] => [one, other])
  );
  const sent = pairs.map((pair) =>
    relayed.reduce((sum, traffic, peer) => {
      const isBetween = hosts[peer] !== hosts[rank] &&
        [hosts[rank], hosts[peer]].every((name) => pair.includes(name));
      return sum + (isBetween ? traffic?.sent ?? 0 : 0);
    }, 0)
  );
  return { pairs, sent };
}
