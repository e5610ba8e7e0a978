import assert from "node:assert/strict";
import {
  formatAddress,
  isLoopback,
  parseAddress,
  withScope,
} from "../../../runtime/security/endpoint.ts";
import { RendezvousError } from "../../../runtime/base/errors.ts";
import { readEnvironment } from "../../../runtime/bootstrap/environment.ts";

const COMPLETE: Record<string, string> = {
  CELGC_RANK: "2",
  CELGC_SIZE: "4",
  CELGC_JOB: "a1b2",
  CELGC_RENDEZVOUS: "[::1]:4567",
};

const read = (variables: Record<string, string>) => readEnvironment((name) => variables[name]);

Deno.test("a process without a rank in its environment is no rank", () => {
  assert.equal(read({ CELGC_SIZE: "4" }), null);
});

Deno.test("which rank a process is, is read from the environment", () => {
  assert.deepEqual(read(COMPLETE), {
    rank: 2,
    size: 4,
    job: "a1b2",
    launcher: null,
    rendezvous: { hostname: "::1", port: 4567 },
    rendezvousFile: null,
    address: null,
    near: false,
    timeoutMs: 60_000,
    joinMs: 60_000,
    transport: "auto",
    onFailure: "abort",
    isNewcomer: false,
    sockets: null,
    host: null,
    link: null,
    connections: 1,
    secretFile: null,
    mpiLibrary: null,
    mpiLauncher: null,
    tls: null,
    addresses: null,
    port: 0,
    gateway: null,
    dialsOut: false,
  });
  const more = read({
    ...COMPLETE,
    CELGC_TIMEOUT: "2.5",
    CELGC_JOIN_TIMEOUT: "90",
    CELGC_TRANSPORT: "tcp",
    CELGC_ON_FAILURE: "return",
    CELGC_SOCKETS: "/run/job",
    CELGC_HOST: "node7",
    CELGC_LISTEN: "node7,10.0.0.7,fe80::1%eth0",
    CELGC_SECRET_FILE: "/run/secret",
    CELGC_TLS_CERT: "c",
    CELGC_TLS_KEY: "k",
    CELGC_TLS_CA: "a",
  })!;
  assert.deepEqual([more.timeoutMs, more.transport, more.onFailure], [2500, "tcp", "return"]);
  assert.equal(more.joinMs, 90_000);
  assert.equal(read({ ...COMPLETE, CELGC_TIMEOUT: "100" })!.joinMs, 100_000);
  const late = read({ ...COMPLETE, CELGC_NEWCOMER: "1", CELGC_RANK: "4" })!;
  assert.deepEqual([late.rank, late.size, late.isNewcomer], [4, 4, true]);
  assert.deepEqual([more.sockets, more.host], ["/run/job", "node7"]);
  assert.deepEqual(more.addresses, ["node7", "10.0.0.7", "fe80::1%eth0"]);
  assert.deepEqual([more.secretFile, more.tls], ["/run/secret", {
    cert: "c",
    key: "k",
    ca: "a",
    name: null,
  }]);
});

for (
  const [change, message] of [
    [{ CELGC_SIZE: "" }, /CELGC_SIZE is not/],
    [{ CELGC_RANK: "4" }, /CELGC_RANK is an integer from 0 to 3, not "4"/],
    [{ CELGC_RANK: "-1" }, /CELGC_RANK is an integer/],
    [{ CELGC_NEWCOMER: "1" }, /CELGC_RANK is an integer from 4 to 1048575, not "2"/],
    [{ CELGC_SIZE: "1e3" }, /CELGC_SIZE is an integer/],
    [{ CELGC_JOB: "a b" }, /CELGC_JOB is 1 to 64/],
    [{ CELGC_RENDEZVOUS: "nowhere" }, /CELGC_RENDEZVOUS: an address is host:port/],
    [{ CELGC_RENDEZVOUS: "host:99999" }, /CELGC_RENDEZVOUS/],
    [{ CELGC_TIMEOUT: "0" }, /CELGC_TIMEOUT is a number of seconds above 0, not "0"/],
    [{ CELGC_TRANSPORT: "pigeon" }, /CELGC_TRANSPORT is auto, tcp, unix or mpi, not "pigeon"/],
    [{ CELGC_ON_FAILURE: "maybe" }, /CELGC_ON_FAILURE is abort or return, not "maybe"/],
    [{ CELGC_LISTEN: "a,b,c,d" }, /CELGC_LISTEN is 1 to 3 addresses or names .*, not "a,b,c,d"/],
    [{ CELGC_LISTEN: "10.0.0.7," }, /CELGC_LISTEN is 1 to 3 addresses/],
    [{ CELGC_LISTEN: "10.0.0.7, fd00::1" }, /separated by commas alone, not "10.0.0.7, fd00::1"/],
    [{ CELGC_TLS_CERT: "c" }, /not set: CELGC_TLS_KEY, CELGC_TLS_CA/],
  ] as [Record<string, string>, RegExp][]
) {
  Deno.test(`an environment with ${JSON.stringify(change)} is refused`, () => {
    assert.throws(
      () => readEnvironment((name) => ({ ...COMPLETE, ...change })[name] || undefined),
      (error) => {
        assert(error instanceof RendezvousError);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

Deno.test("addresses are read as they are written", () => {
  for (
    const [hostname, port] of [["localhost", 1], ["10.0.0.7", 65535], ["fe80::1", 80], [
      "fe80::1%eth0",
      81,
    ]] as const
  ) {
    assert.deepEqual(parseAddress(formatAddress(hostname, port)), { hostname, port });
  }
  assert.deepEqual(["localhost", "127.0.0.1", "127.9.9.9", "::1"].map(isLoopback), [
    true,
    true,
    true,
    true,
  ]);
  assert.deepEqual(["127.0.0.1.example.org", "0.0.0.0", "10.0.0.1", "::"].map(isLoopback), [
    false,
    false,
    false,
    false,
  ]);
});

Deno.test("an address at which nobody can be is refused as it is read", () => {
  for (
    const [text, why] of [
      ["nonsense", /is host:port or \[IPv6 address\]:port, not "nonsense"/],
      ["::1:29500", /is host:port/],
      ["http://host:80", /is host:port/],
      ["host:0", /port of an address is from 1 to 65535, not 0 as in "host:0"/],
      ["host:65536", /not 65536/],
      ["10.0.0.999:29500", /no host has the name or address in "10\.0\.0\.999:29500"/],
      ["[:]:29500", /no host has/],
      ["[10.0.0.1]:29500", /no host has/],
      ["ho$t:29500", /no host has/],
    ] as const
  ) {
    assert.throws(() => read({ ...COMPLETE, CELGC_RENDEZVOUS: text }), (error) => {
      assert.ok(error instanceof RendezvousError);
      assert.match(error.message, /^CELGC_RENDEZVOUS: /);
      assert.match(error.message, why);
      return true;
    });
  }
  const torchrun = { RANK: "1", WORLD_SIZE: "2", MASTER_PORT: "29500", CELGC_SECRET_FILE: "/s" };
  assert.throws(
    () => read({ ...torchrun, MASTER_ADDR: "no host" }),
    /^RendezvousError: MASTER_ADDR: /,
  );
  for (const host of ["node-7.example.org", "[fe80::1%eth0]", "bücher.example", "a_b"]) {
    assert.equal(read({ ...COMPLETE, CELGC_RENDEZVOUS: `${host}:1` })!.rendezvous!.port, 1);
  }
});

Deno.test("a link-local address gets the scope of the interface that this host uses", () => {
  assert.equal(withScope("fe80::2", "fe80::1%eth0"), "fe80::2%eth0");
  assert.equal(withScope("fe80::2%ens3", "fe80::1%eth0"), "fe80::2%eth0");
  assert.equal(withScope("fe80::2", "fd00::1"), "fe80::2");
  assert.equal(withScope("fd00::2", "fe80::1%eth0"), "fd00::2");
});
