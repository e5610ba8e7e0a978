/**
 * Folders of mode 0700 on a host for what the processes of a job share there.
 *
 * @module
 */

import { resolve } from "node:path";
import { socketPath } from "../bootstrap/mesh.ts";
import { CERTIFICATE_NAME } from "../security/certificate.ts";
import { fitsSocket, type TlsMaterial } from "../security/endpoint.ts";
import { hasSockets, type JobPlan, type TlsPaths } from "./host_ranks.ts";
import { Watchdog } from "./watchdog.ts";

/** Most ranks whose Unix sockets are spelled out in every rank's permissions. */
const MOST_SOCKETS = 256;

/** A launcher's own folder, for sockets where they fit and for certificates. It is removed, whatever ends the launcher. */
export class HostFolder implements AsyncDisposable {
  readonly #path: string;
  readonly #watchdog: Watchdog;
  #files = 0;

  private constructor(path: string) {
    this.#path = path;
    this.#watchdog = new Watchdog(path);
  }

  /** Makes one. */
  static async make(): Promise<HostFolder> {
    const path = await makeSocketFolder(2, "auto") ?? await Deno.makeTempDir({ prefix: "celgc-" });
    return new HostFolder(path);
  }

  /** Folder for the sockets of this host's ranks, for whoever starts them to make. */
  get sockets(): string {
    return `${this.#path}/s`;
  }

  /** Writes what ranks need for TLS where they can read it, and nobody else. */
  async writeTls({ cert, key, ca }: Pick<TlsMaterial, "cert" | "key" | "ca">): Promise<TlsPaths> {
    const paths = {
      cert: `${this.#path}/cert.pem`,
      key: `${this.#path}/key.pem`,
      ca: `${this.#path}/ca.pem`,
    };
    await Deno.writeTextFile(paths.cert, cert, { mode: 0o600 });
    await Deno.writeTextFile(paths.key, key, { mode: 0o600 });
    await Deno.writeTextFile(paths.ca, ca, { mode: 0o600 });
    return { ...paths, name: CERTIFICATE_NAME };
  }

  /** Has a file of this launcher's removed should it be killed, unless that has become somebody else's by then. */
  async lookAfter(file: string): Promise<void> {
    const copy = `${this.#path}/${this.#files++}.left`;
    await Deno.writeTextFile(copy, await Deno.readTextFile(file), { mode: 0o600 });
    await Deno.writeTextFile(`${copy}.path`, resolve(file));
  }

  /** Removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await removeFolder(this.#path);
    await this.#watchdog.close();
  }
}

/**
 * Makes a folder for the ranks' Unix sockets, of mode 0700: in the system's folder for temporary files,
 * or, where its name is too long for a socket, has a comma or is not there, in /tmp.
 *
 * @returns null where ranks do without such sockets: they take TCP
 */
export async function makeSocketFolder(
  ranks: number,
  transport: JobPlan["transport"],
): Promise<string | null> {
  if (!hasSockets(transport) || Deno.build.os === "windows") return null;
  if (ranks === 1 || ranks > MOST_SOCKETS) return null;
  for (const dir of [undefined, "/tmp"]) {
    let folder: string;
    try {
      folder = await Deno.realPath(await Deno.makeTempDir({ dir, prefix: "celgc-" }));
    } catch {
      continue;
    }
    if (!folder.includes(",") && fitsSocket(socketPath(folder, ranks - 1))) return folder;
    await Deno.remove(folder).catch(() => {});
  }
  return null;
}

/** Removes a folder of a job's own, if it is there, with all that is in it. */
export async function removeFolder(folder: string): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch(() => {});
}
