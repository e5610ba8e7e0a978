/**
 * Several ranks in one process, joined by real loopback sockets: the wire of the communicator's tests
 * that need to see several ranks at once. Frames are a length and a header; there is no handshake.
 */

import { Communicator } from "../../runtime/communicator.ts";
import { type FrameSink, HEADER_BYTES, type Transport } from "../../runtime/transport/transport.ts";

class LoopbackTransport implements Transport {
  readonly hosts: readonly string[];
  readonly timeoutMs = 60_000;
  readonly traffic = { sent: 0, received: 0 };
  readonly reports: string[] = [];
  readonly #queues: Promise<void>[];
  #sink: FrameSink | undefined;

  constructor(
    readonly rank: number,
    readonly size: number,
    readonly connections: (Deno.Conn | undefined)[],
  ) {
    this.hosts = Array.from({ length: size }, (_, host) => `host${host}`);
    this.#queues = Array.from({ length: size }, () => Promise.resolve());
  }

  start(sink: FrameSink): void {
    this.#sink = sink;
    this.connections.forEach((connection, peer) => {
      if (connection === undefined) return;
      this.#read(peer, connection).catch((error) => sink.lost(peer, error));
    });
  }

  async #read(peer: number, connection: Deno.Conn): Promise<void> {
    const prefix = new Uint8Array(4 + HEADER_BYTES), view = new DataView(prefix.buffer);
    const fill = async (into: Uint8Array) => {
      for (let at = 0; at < into.length;) {
        const n = await connection.read(into.subarray(at));
        if (n === null) throw new Error("its connection has ended");
        at += n;
      }
    };
    while (true) {
      await fill(prefix);
      if (view.getUint32(0) === 0xffffffff) return this.#sink!.lost(peer, undefined);
      const payload = this.#sink!.begin(
        peer,
        new DataView(prefix.buffer, 4),
        view.getUint32(0),
      );
      if (payload.length !== view.getUint32(0)) throw new Error("the sink offered a wrong length");
      await fill(payload);
      this.traffic.received += prefix.length + payload.length;
      this.#sink!.end(peer, payload);
    }
  }

  send(peer: number, header: Uint8Array, payload = new Uint8Array(0)): Promise<void> {
    const connection = this.connections[peer]!;
    const sent = this.#queues[peer].then(async () => {
      const prefix = new Uint8Array(4 + HEADER_BYTES);
      new DataView(prefix.buffer).setUint32(0, payload.length);
      prefix.set(header, 4);
      for (const bytes of [prefix, payload]) {
        for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
      }
      this.traffic.sent += prefix.length + payload.length;
    });
    this.#queues[peer] = sent.catch(() => {});
    return sent;
  }

  expecting(): Disposable {
    return { [Symbol.dispose]() {} };
  }

  report(failure: { message: string }): Promise<void> {
    this.reports.push(failure.message);
    return Promise.resolve();
  }

  abort(code: number, message: string): Promise<never> {
    return Promise.reject(new Error(`aborted with ${code}: ${message}`));
  }

  /** Ends without a goodbye, as a killed process does. */
  kill(): void {
    for (const connection of this.connections) connection?.close();
  }

  async close(): Promise<void> {
    const goodbye = new Uint8Array(4 + HEADER_BYTES).fill(255);
    await Promise.all(this.connections.map(async (connection, peer) => {
      if (connection === undefined) return;
      await this.#queues[peer];
      await connection.write(goodbye).catch(() => {});
    }));
  }
}

/** Ranks of one job in this process. */
export interface World extends AsyncDisposable {
  readonly ranks: readonly Communicator[];
  readonly transports: readonly LoopbackTransport[];
}

/** Starts `size` ranks in this process. */
export async function world(size: number): Promise<World> {
  const connections = Array.from({ length: size }, () => new Array<Deno.Conn | undefined>(size));
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  for (let a = 0; a < size; a++) {
    for (let b = a + 1; b < size; b++) {
      const [near, far] = await Promise.all([
        Deno.connect({ hostname: "127.0.0.1", port }),
        listener.accept(),
      ]);
      near.setNoDelay(true);
      far.setNoDelay(true);
      connections[a][b] = near;
      connections[b][a] = far;
    }
  }
  const transports = connections.map((row, rank) => new LoopbackTransport(rank, size, row));
  return {
    transports,
    ranks: transports.map((transport) => new Communicator(transport)),
    [Symbol.asyncDispose]: () => {
      for (const transport of transports) {
        try {
          transport.kill();
        } catch { /* killed by the test */ }
      }
      return Promise.resolve();
    },
  };
}

/** Runs `body` on every rank at once and returns what each made of it. */
export function onAll<T>(
  { ranks }: World,
  body: (comm: Communicator, rank: number) => Promise<T>,
): Promise<PromiseSettledResult<T>[]> {
  return Promise.allSettled(ranks.map(body));
}
