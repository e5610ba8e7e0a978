/**
 * On which hosts the ranks of a run are, what they compute on, and what their frames go over.
 *
 * @module
 */

import type { Communicator } from "../../runtime/communicator.ts";
import type { RunHost } from "../logs/records.ts";
import { gatherTexts } from "../run/byte_stream.ts";

/**
 * The hosts of a communicator, the same on all ranks. Collective.
 *
 * @param device of this rank, in words
 */
export async function hostsOf(comm: Communicator, device: string): Promise<RunHost[]> {
  const { hosts, carriers } = comm.network;
  // Those to other hosts: within one, memory may stand beside a socket.
  const carrier = carriers.find((carrier, rank) => carrier && hosts[rank] !== hosts[comm.rank]);
  const all = (await gatherTexts(comm, JSON.stringify([device, carrier ?? null])))
    .map((text): [device: string, carrier: RunHost["carrier"]] => JSON.parse(text));
  return [...new Set(hosts)].map((name) => {
    const ranks = hosts.flatMap((host, rank) => host === name ? [rank] : []);
    return {
      name,
      ranks,
      devices: [...new Set(ranks.map((rank) => all[rank][0]))],
      carrier: all[ranks[0]][1],
    };
  });
}
