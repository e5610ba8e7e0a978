import assert from "node:assert/strict";
import { makeCertificate } from "../../../runtime/security/certificate.ts";
import { dial, listenAt, type TlsMaterial } from "../../../runtime/security/endpoint.ts";

/** Dials a listener that shows one certificate, trusting the authority of another. */
async function meet(shown: TlsMaterial, trusted: TlsMaterial): Promise<number | null> {
  using listener = listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 }, shown);
  const { port } = listener.addr as Deno.NetAddr;
  const served = (async () => {
    using connection = await listener.accept();
    await connection.write(Uint8Array.of(7)).catch(() => {});
  })();
  try {
    using connection = await dial({ kind: "tcp", hostname: "127.0.0.1", port }, trusted);
    return await connection.read(new Uint8Array(1));
  } finally {
    await served;
  }
}

Deno.test("a job's certificate is trusted at whatever address, by its authority alone", async () => {
  const [one, other] = [await makeCertificate(), await makeCertificate()];
  assert.equal(await meet(one, one), 1);
  await assert.rejects(meet(one, other), /invalid peer certificate/);
  await assert.rejects(meet(one, { ...one, name: "host.example" }), /not valid for name/);
});

Deno.test("those who share a secret trust each other's certificates", async () => {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const [one, same] = [await makeCertificate({ secret }), await makeCertificate({ secret })];
  assert.notEqual(one.cert, same.cert);
  assert.equal(await meet(one, same), 1);
  const other = await makeCertificate({ secret: secret.with(0, secret[0] ^ 1) });
  await assert.rejects(meet(one, other), /invalid peer certificate/);
});

Deno.test("a certificate that has ended is refused", async () => {
  const ended = await makeCertificate({ notAfter: new Date(Date.now() - 1000) });
  await assert.rejects(meet(ended, ended), /certificate expired/);
});
