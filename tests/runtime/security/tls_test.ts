import assert from "node:assert/strict";
import { mesh } from "../../_helpers/mesh.ts";
import { program, run } from "../../_helpers/jobs.ts";

const OPENSSL = await hasOpenSsl();

async function hasOpenSsl(): Promise<boolean> {
  try {
    return (await new Deno.Command("openssl", { args: ["version"] }).output()).success;
  } catch {
    console.warn("openssl is not installed: the TLS tests are skipped");
    return false;
  }
}

/** Runs openssl, which must do it. */
async function openssl(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args }).output();
  assert(success, new TextDecoder().decode(stderr));
}

/** An authority and a certificate of it for 127.0.0.1, as PEM files. */
async function certificates(directory: string) {
  const file = (name: string) => `${directory}/${name}`;
  await Deno.writeTextFile(file("extensions"), "subjectAltName=IP:127.0.0.1\n");
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  await openssl(
    ...["req", "-x509", ...ec, "-subj", "/CN=test authority"],
    ...["-keyout", file("ca.key"), "-out", file("ca.pem")],
  );
  await openssl(
    ...["req", "-new", ...ec.slice(0, -2), "-subj", "/CN=rank"],
    ...["-keyout", file("key.pem"), "-out", file("request")],
  );
  await openssl(
    ...["x509", "-req", "-in", file("request"), "-CA", file("ca.pem"), "-CAkey", file("ca.key")],
    ...["-CAcreateserial", "-days", "2", "-extfile", file("extensions"), "-out", file("cert.pem")],
  );
  return { cert: file("cert.pem"), key: file("key.pem"), ca: file("ca.pem") };
}

async function temporary() {
  const path = await Deno.makeTempDir({ prefix: "celgc-test-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test(
  { name: "a job runs under TLS", ignore: !OPENSSL },
  async () => {
    await using directory = await temporary();
    const tls = await certificates(directory.path);
    const { code, failure, lines } = await run({
      ranks: 3,
      program: program("probe"),
      args: ["x"],
      tls,
      transport: "tcp",
    });
    assert.equal(code, 0, failure?.message ?? "no failure was told");
    assert.deepEqual(lines.map(([first]) => first), new Array(3).fill("sum 3 of 3"));
  },
);

Deno.test(
  { name: "large frames cross TLS whole, and goodbyes arrive", ignore: !OPENSSL },
  async () => {
    await using directory = await temporary();
    const files = await certificates(directory.path);
    const [cert, key, ca] = [files.cert, files.key, files.ca].map((path) =>
      Deno.readTextFileSync(path)
    );
    await using net = await mesh(2, { tls: { cert, key, ca } });
    assert.equal(net.connections[1][0]!.constructor.name, "TlsConn");
    const payload = new Uint8Array(3_000_001).map((_, i) => i * 7);
    for (let number = 0; number < 5; number++) {
      await net.transports[0].send(1, new Uint8Array(64), payload);
      await net.transports[1].send(0, new Uint8Array(64), payload.subarray(0, 100));
    }
    await Promise.all(net.transports.map((transport) => transport.close()));
    assert.equal(net.sinks[1].arrivals.length, 5);
    for (const arrival of net.sinks[1].arrivals) assert.deepEqual(arrival.payload, payload);
    assert.equal(net.sinks[0].arrivals.length, 5);
    assert(net.sinks.every(({ losses }) => losses.every(({ cause }) => cause === undefined)));
  },
);

Deno.test(
  { name: "a certificate of another authority ends the job", ignore: !OPENSSL },
  async () => {
    await using directory = await temporary();
    await using other = await temporary();
    const tls = await certificates(directory.path);
    const { ca } = await certificates(other.path);
    const { code, failure, ms } = await run({
      ranks: 2,
      program: program("probe"),
      args: ["x"],
      tls: { ...tls, ca },
      timeout: 2,
    });
    assert.equal(code, 1);
    assert.match(failure!.message, /cannot trust the rendezvous at .*certificate/);
    assert(ms < 15_000, `${ms} ms`);
  },
);
