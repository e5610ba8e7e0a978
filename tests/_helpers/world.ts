/** Several ranks in this process, over the real transport: for tests that need to see them all at once. */

import { type Communicator, worldCommunicator } from "../../runtime/communicator.ts";
import type { MeshTransport } from "../../runtime/transport/mesh_transport.ts";
import { connect, type MeshOptions } from "./mesh.ts";

/** Ranks of one job in this process, each on a host of its own name: none shares memory. */
export interface World extends AsyncDisposable {
  readonly ranks: readonly Communicator[];
  readonly transports: readonly MeshTransport[];
  /** What each rank has reported to its launcher. */
  readonly reports: readonly (readonly string[])[];
  /** Ends a rank without a goodbye, as a killed process ends. */
  kill(rank: number): void;
  /** Ends the connection between two ranks, which both live. */
  cut(one: number, other: number): void;
}

/** Starts `size` ranks in this process. */
export async function world(size: number, options: MeshOptions = {}): Promise<World> {
  const hosts = Array.from({ length: size }, (_, rank) => `host${rank}`);
  const mesh = await connect(size, { hosts, ...options });
  const reports = mesh.transports.map((transport) => {
    const messages: string[] = [], report = transport.report.bind(transport);
    transport.report = (failure) => {
      messages.push(failure.message);
      return report(failure);
    };
    return messages;
  });
  return {
    transports: mesh.transports,
    ranks: mesh.transports.map((transport) => worldCommunicator(transport)),
    reports,
    kill(rank) {
      for (const connection of mesh.connections[rank]) {
        try {
          connection?.close();
        } catch {
          // The transport has, since the other end was killed before.
        }
      }
    },
    cut: (one, other) => mesh.connections[one][other]?.close(),
    [Symbol.asyncDispose]: () => mesh[Symbol.asyncDispose](),
  };
}

/** Runs `body` on every rank at once and returns what each made of it. */
export function onAll<T>(
  { ranks }: World,
  body: (comm: Communicator, rank: number) => Promise<T>,
): Promise<PromiseSettledResult<T>[]> {
  return Promise.allSettled(ranks.map(body));
}
