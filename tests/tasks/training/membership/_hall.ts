/** Processes that come to a running job, in this process: what a rendezvous and its doors do, over real connections. */

import { type Communicator, worldCommunicator } from "../../../../runtime/communicator.ts";
import { MeshTransport } from "../../../../runtime/transport/mesh_transport.ts";
import type { Door, Membership } from "../../../../runtime/transport/transport.ts";
import { pair } from "../../../_helpers/mesh.ts";
import type { World } from "../../../_helpers/world.ts";

/** One that has come. */
interface Newcomer {
  readonly connections: (Deno.Conn | undefined)[];
  readonly welcome: PromiseWithResolvers<Communicator>;
  isWelcome: boolean;
}

/** Where those wait that come to the ranks of a {@linkcode World}, which goes on with `onFailure: "return"`. */
export class Hall implements AsyncDisposable {
  readonly #all = new Map<number, Newcomer>();
  readonly #hosts: string[];
  readonly #transports: MeshTransport[];
  /** Ranks that do nothing more, though their code may run on. */
  readonly #killed = new Set<number>();
  #next: number;

  constructor({ transports }: World) {
    this.#transports = [...transports];
    this.#next = transports.length;
    this.#hosts = transports.map((_, rank) => `host${rank}`);
    for (const transport of transports) transport.door = this.#doorOf(transport);
  }

  /** Comes to the job, and waits. */
  knock(): { readonly rank: number; readonly entered: Promise<Communicator> } {
    const rank = this.#next++, welcome = Promise.withResolvers<Communicator>();
    welcome.promise.catch(() => {});
    this.#hosts[rank] = `host${rank}`;
    this.#all.set(rank, { connections: [], welcome, isWelcome: false });
    return { rank, entered: welcome.promise };
  }

  /**
   * Ends all connections between a rank and those that have come, as of a killed process. One that still waits has
   * gone.
   */
  kill(rank: number): void {
    const own = this.#all.get(rank);
    this.#killed.add(rank);
    own?.welcome.reject(new Error("killed"));
    const others = [...this.#all.values()].map(({ connections }) => connections[rank]);
    for (const connection of [...own?.connections ?? [], ...others]) {
      try {
        connection?.close();
      } catch {
        // The other end was killed before.
      }
    }
    if (own?.isWelcome === false) this.#all.delete(rank);
  }

  #doorOf(own: MeshTransport): Door {
    const all = this.#all, killed = this.#killed, hosts = this.#hosts, { rank: self } = own;
    const welcome = (rank: number, membership: Membership) => this.#welcome(rank, membership);
    return {
      get waiting() {
        return new Map(
          [...all].filter(([, { isWelcome }]) => !isWelcome).map(([rank]) => [rank, ""]),
        );
      },
      async reach(newcomers) {
        const reached: number[] = [];
        for (const rank of newcomers.keys()) {
          const newcomer = all.get(rank);
          if (!newcomer || killed.has(self)) continue;
          const [here, there] = await pair();
          if (killed.has(self)) {
            here.close();
            there.close();
            continue;
          }
          newcomer.connections[self] = there;
          own.add(rank, hosts[rank], here);
          reached.push(rank);
        }
        return reached;
      },
      welcome(rank, membership) {
        if (!killed.has(self)) void welcome(rank, membership);
      },
    };
  }

  async #welcome(rank: number, membership: Membership): Promise<void> {
    const newcomer = this.#all.get(rank);
    if (!newcomer || newcomer.isWelcome) return;
    newcomer.isWelcome = true;
    for (const peer of membership.members) {
      const other = this.#all.get(peer);
      if (!other || peer >= rank || newcomer.connections[peer]) continue;
      [newcomer.connections[peer], other.connections[rank]] = await pair();
    }
    const absent = () =>
      membership.members.some((peer) => peer !== rank && !newcomer.connections[peer]);
    while (absent()) await new Promise((wake) => setTimeout(wake, 1));
    const transport = new MeshTransport({
      rank,
      size: this.#hosts.length,
      hosts: [...this.#hosts],
      connections: newcomer.connections,
      control: null,
      timeoutMs: 60_000,
      onFailure: "return",
      membership,
    });
    transport.door = this.#doorOf(transport);
    this.#transports.push(transport);
    newcomer.welcome.resolve(worldCommunicator(transport));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#transports.map((transport) => transport.close().catch(() => {})));
  }
}
