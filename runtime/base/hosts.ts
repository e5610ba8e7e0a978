/**
 * Which members of a communicator are on one host.
 *
 * @module
 */

/** The ranks on each host, in the order of ranks; hosts in the order of their first rank. */
export type Hosts = readonly (readonly number[])[];

/** What is known of where the ranks of a job are. */
interface JobPlacement {
  /** Host name of each rank. */
  readonly hosts: readonly string[];
  /** Whether all frames have to go over the wire. @default {false} */
  readonly bypassesSharedMemory?: boolean;
}

/**
 * Divides the members of a communicator by their hosts. If a job is on one host and all frames have to
 * go over the wire, as with `--transport tcp` or behind a link, every rank stands for a host of its own.
 *
 * @param members ranks of the job
 */
export function hostsOf(
  members: readonly number[],
  { hosts, bypassesSharedMemory = false }: JobPlacement,
): Hosts {
  if (bypassesSharedMemory && hosts.every((host) => host === hosts[0])) {
    return members.map((_, rank) => [rank]);
  }
  const byName = new Map<string, number[]>();
  for (const [rank, member] of members.entries()) {
    const ranks = byName.get(hosts[member]);
    if (ranks === undefined) byName.set(hosts[member], [rank]);
    else ranks.push(rank);
  }
  return [...byName.values()];
}

/** Whether there are several hosts, and several ranks on one of them. */
export function hasTwoLevels(hosts: Hosts): boolean {
  return hosts.length > 1 && hosts.some((ranks) => ranks.length > 1);
}
