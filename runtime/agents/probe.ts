/**
 * Whether other hosts can reach an agent: it listens for a moment, and the coordinator tries to come. An
 * agent behind a router that translates addresses, or behind a firewall, can only dial out; its ranks then
 * dial all others.
 *
 * @module
 */

import { listenAtAll } from "../security/endpoint.ts";

/** How long the coordinator tries, in ms. */
const PROBE_MS = 1500;

/** An agent's listener that says a random mark to whoever comes, so that no other host is taken for it. */
export class Probe implements Disposable {
  /** What it says, in hexadecimal digits. */
  readonly mark: string = crypto.getRandomValues(new Uint8Array(16)).toHex();
  /** The port. */
  readonly port: number;
  readonly #listener: Deno.Listener;

  /**
   * @param addresses at which the agent's ranks will listen
   * @param port of the first of them; 0 for any
   */
  constructor(addresses: readonly string[], port: number) {
    this.#listener = listenAtAll(addresses, port);
    this.port = (this.#listener.addr as Deno.NetAddr).port;
    this.#answer();
  }

  async #answer(): Promise<void> {
    try {
      for await (const connection of this.#listener) {
        connection.write(new TextEncoder().encode(this.mark)).catch(() => {})
          .finally(() => connection.close());
      }
    } catch {
      // Closed.
    }
  }

  /** Stops listening. */
  [Symbol.dispose](): void {
    try {
      this.#listener.close();
    } catch {
      // It has been closed before.
    }
  }
}

/** At the coordinator: whether an agent is reached at one of its addresses. */
export async function isReached(
  addresses: readonly string[],
  { port, mark }: { readonly port: number; readonly mark: string },
): Promise<boolean> {
  const signal = AbortSignal.timeout(PROBE_MS);
  const tries = addresses.map(async (hostname) => {
    using connection = await Deno.connect({ hostname, port, signal });
    const heard = new Uint8Array(mark.length);
    const cut = () => connection.close();
    signal.addEventListener("abort", cut, { once: true });
    try {
      for (let at = 0; at < heard.length;) {
        const n = await connection.read(heard.subarray(at));
        if (n === null) throw new Error("it has said too little");
        at += n;
      }
    } finally {
      signal.removeEventListener("abort", cut);
    }
    if (new TextDecoder().decode(heard) !== mark) throw new Error("it is somebody else");
  });
  return await Promise.any(tries).then(() => true, () => false);
}
