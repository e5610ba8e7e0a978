/**
 * What the ranks of a job on one host have in common, and where they meet.
 *
 * @module
 */

import { resolve } from "node:path";
import { platform } from "../base/platform.ts";
import { readTls } from "../bootstrap/environment.ts";
import { makeSocketFolder, removeFolder } from "../ranks/host_folder.ts";
import { formatAddress, listenAt } from "../security/endpoint.ts";
import { credentials } from "../security/handshake.ts";
import { type LaunchProgramOptions, transportOf } from "./options.ts";
import type { OpenHost } from "./world.ts";

/** Where to find a listener on this host that listens on all addresses. */
const ANYWHERE: Record<string, string> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/**
 * Opens the rendezvous of a job on this host.
 *
 * @param host its name
 * @param cleanUps takes what undoes it
 */
export async function openAlone(
  options: LaunchProgramOptions,
  host: string,
  cleanUps: AsyncDisposableStack,
): Promise<OpenHost> {
  const { ranks, listen = "127.0.0.1", tls, cwd } = options;
  const transport = transportOf(options);
  const secret = platform.getRandomValues(new Uint8Array(32));
  const name = platform.getRandomValues(new Uint8Array(8)).toHex();
  const material = tls === undefined ? undefined : await readTls(tls);
  const listener = listenAt({ kind: "tcp", hostname: listen, port: 0 }, material);
  const { hostname, port } = listener.addr as Deno.NetAddr;
  const near = ANYWHERE[hostname] ?? listen;
  const sockets = await makeSocketFolder(ranks, transport);
  if (sockets !== null) cleanUps.defer(() => removeFolder(sockets));
  return {
    listener,
    job: await credentials(name, secret),
    secret: secret.toHex(),
    host: {
      first: 0,
      host,
      rendezvous: formatAddress(near, port),
      peers: [...new Set([near, ANYWHERE[hostname] ?? hostname])],
      sockets,
      cwd,
      tls: tls === undefined ? null : {
        cert: resolve(tls.cert),
        key: resolve(tls.key),
        ca: resolve(tls.ca),
        name: null,
      },
      addresses: null,
      dialsOut: false,
      gateway: null,
    },
  };
}
