/** A whole handshake that somebody has recorded, said again in every role, over TCP and under TLS. */

import assert from "node:assert/strict";
import { HandshakeError } from "../../../runtime/base/errors.ts";
import { AuthenticatingListener } from "../../../runtime/security/authenticating_listener.ts";
import { makeCertificate } from "../../../runtime/security/certificate.ts";
import {
  dial,
  type Endpoint,
  listenAt,
  type TlsMaterial,
} from "../../../runtime/security/endpoint.ts";
import { credentials, GREETING_BYTES, initiate } from "../../../runtime/security/handshake.ts";

const JOB = await credentials("replay-test", crypto.getRandomValues(new Uint8Array(32)));

/** Rank 0's listener, and how often somebody has come in. */
function house(tls: TlsMaterial | undefined) {
  const listener = listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 }, tls);
  const { port } = listener.addr as Deno.NetAddr;
  const endpoint: Endpoint = { kind: "tcp", hostname: "127.0.0.1", port };
  const inside: Deno.Conn[] = [];
  const guard = new AuthenticatingListener({
    listener,
    job: JOB,
    purpose: "mesh",
    self: 0,
    isExpected: () => true,
    onAccepted: (_, connection) => void inside.push(connection),
  });
  return {
    endpoint,
    inside,
    [Symbol.dispose]() {
      guard.close();
      for (const connection of inside) connection.close();
    },
  };
}

/** A connection that keeps what each end says. */
function recording(connection: Deno.Conn) {
  const dialer: number[] = [], listener: number[] = [];
  return {
    dialer,
    listener,
    async read(into: Uint8Array) {
      const n = await connection.read(into);
      listener.push(...into.subarray(0, n ?? 0));
      return n;
    },
    async write(bytes: Uint8Array) {
      const n = await connection.write(bytes);
      dialer.push(...bytes.subarray(0, n));
      return n;
    },
  };
}

/** What comes until the other end closes; an abrupt close counts. */
async function readToEnd(connection: Deno.Conn): Promise<number> {
  const buffer = new Uint8Array(4096);
  let all = 0;
  try {
    for (let n; (n = await connection.read(buffer)) !== null;) all += n;
  } catch {
    // Reset.
  }
  return all;
}

for (const kind of ["TCP", "TLS"]) {
  Deno.test(`a recorded handshake lets nobody in, as a dialer or as a listener, over ${kind}`, async () => {
    // A stranger who holds the certificates, as somebody who may look into a host's files might.
    const tls = kind === "TLS" ? await makeCertificate() : undefined;
    using first = house(tls);
    using known = await dial(first.endpoint, tls);
    const said = recording(known);
    await initiate(said, JOB, "mesh", 3, 0);
    while (first.inside.length === 0) await new Promise((wake) => setTimeout(wake, 5));
    assert.ok(said.dialer.length >= GREETING_BYTES && said.listener.length >= 2 * GREETING_BYTES);

    using second = house(tls);
    for (const { endpoint } of [first, second]) {
      using stranger = await dial(endpoint, tls);
      await stranger.write(Uint8Array.from(said.dialer)).catch(() => {});
      assert.equal(await readToEnd(stranger), GREETING_BYTES, "nothing but a challenge comes back");
    }
    assert.deepEqual([first.inside.length, second.inside.length], [1, 0]);

    using impostor = listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 }, tls);
    const { port } = impostor.addr as Deno.NetAddr;
    const played = (async () => {
      using caller = await impostor.accept();
      await caller.write(Uint8Array.from(said.listener)).catch(() => {});
      await readToEnd(caller);
    })();
    {
      using rank = await dial({ kind: "tcp", hostname: "127.0.0.1", port }, tls);
      await assert.rejects(initiate(rank, JOB, "mesh", 3, 0), HandshakeError);
    }
    await played;
  });
}
