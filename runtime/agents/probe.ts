/**
 * Whether other hosts can reach an agent: it opens its gateway, and the coordinator tries to come. An agent
 * behind a router that translates addresses, or behind a firewall, can only dial out; its ranks then dial all
 * others, and those of another such host through the coordinator's relay.
 *
 * @module
 */

import { dialMember } from "../security/dialer.ts";
import { COORDINATOR_RANK, type Credentials } from "../security/handshake.ts";

/** How long the coordinator tries, in ms. */
const PROBE_MS = 1500;

/**
 * At the coordinator: whether an agent is reached at one of its addresses.
 *
 * @param mark of its gateway, so that no other host's is taken for it
 */
export async function isReached(
  job: Credentials,
  addresses: readonly string[],
  { port, mark }: { readonly port: number; readonly mark: number },
): Promise<boolean> {
  const tries = addresses.map(async (hostname) => {
    const connection = await dialMember({
      endpoints: [{ kind: "tcp", hostname, port }],
      knocks: true,
      job,
      purpose: "probe",
      self: COORDINATOR_RANK,
      peer: mark,
      name: "an agent",
      selfName: "the coordinator",
      deadline: performance.now() + PROBE_MS,
      once: true,
    });
    connection.close();
  });
  return await Promise.any(tries).then(() => true, () => false);
}
