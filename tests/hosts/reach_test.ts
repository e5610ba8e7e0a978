/** Hosts of which others reach one port, or none. */

import assert from "node:assert/strict";
import { temporaryFolder } from "../_helpers/temporary_folder.ts";
import {
  type Host,
  type Hosts,
  leftOn,
  makeHosts,
  namespacesNote,
  noNamespaces,
} from "./_hosts.ts";
import { expectedHash, startByInvitation, summaryOf } from "./_training.ts";

/** A test on three hosts. */
function onThree(name: string, fn: (hosts: Hosts, folder: string) => Promise<void>): void {
  Deno.test({
    name: `${name}${namespacesNote}`,
    ignore: noNamespaces !== null,
    async fn() {
      await using folder = await temporaryFolder();
      await using hosts = await makeHosts(3);
      await fn(hosts, folder.path);
    },
  });
}

/** An address of a host that no other has a way to, as behind a router that translates addresses. */
async function hiddenAddress(host: Host): Promise<string> {
  const address = "192.168.50.1";
  const { code, stderr } = await host.run(["ip", "addr", "add", `${address}/32`, "dev", "lo"]);
  assert.equal(code, 0, stderr);
  return address;
}

/** Runs `fn`, and meanwhile looks at which ports the host listens; returns those that others reach. */
async function openPorts(host: Host, ended: Promise<unknown>): Promise<Set<number>> {
  const ports = new Set<number>();
  let over = false;
  ended.then(() => over = true);
  while (!over) {
    const [pid] = await host.pids();
    for (const table of pid === undefined ? [] : ["tcp", "tcp6"]) {
      const text = await Deno.readTextFile(`/proc/${pid}/net/${table}`).catch(() => "");
      for (const line of text.split("\n").slice(1)) {
        const [, local = "", , state] = line.trim().split(/\s+/);
        const [address, port] = local.split(":");
        // The kernel writes addresses byte for byte as they lie in memory: 127.0.0.1, ::1.
        const isLoopback = address === "0100007F" || address === "00000000000000000000000001000000";
        if (state === "0A" && !isLoopback) ports.add(parseInt(port, 16));
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return ports;
}

onThree("with --port, training takes one open port a host", async (hosts, folder) => {
  const port = 29600;
  const launchers = await startByInvitation(
    hosts.all.map((host, i) => ({
      host,
      ranks: [4, 2, 2][i],
      args: ["--port", String(port), "--transport", "tcp"].slice(0, i === 0 ? 4 : 2),
    })),
    folder,
  );
  const all = Promise.all(launchers.map(({ ended }) => ended));
  const found = await Promise.all(hosts.all.map((host) => openPorts(host, all)));
  for (const { code, stderr } of await all) assert.equal(code, 0, stderr);
  assert.deepEqual(found.map((ports) => [...ports]), [[port], [port], [port]]);
  const summary = summaryOf(`${folder}/run`);
  assert.equal(summary.weightsHash, await expectedHash());
  assert.deepEqual(await leftOn(hosts, 5000), []);
});

onThree(
  "two hosts that can only dial out train together, through a relay",
  async (hosts, folder) => {
    const [a, b, c] = hosts.all;
    const launchers = await startByInvitation([
      { host: a, ranks: 2 },
      { host: b, ranks: 3, args: ["--listen", await hiddenAddress(b)] },
      { host: c, ranks: 3, args: ["--listen", await hiddenAddress(c)] },
    ], folder);
    const all = Promise.all(launchers.map(({ ended }) => ended));
    const [first, ...agents] = await all;
    for (const { code, stderr } of [first, ...agents]) assert.equal(code, 0, stderr);
    assert.match(first.stderr, /host-b can only dial out: its ranks dial all others$/m);
    assert.match(
      first.stderr,
      /host-c can only .* those of host-b through the relay on this host$/m,
    );
    const summary = summaryOf(`${folder}/run`);
    assert.equal(summary.weightsHash, await expectedHash());
    assert.deepEqual(
      summary.hosts.map((
        { name, carrier, dialsOut = false }: Record<string, unknown>,
      ) => [name, carrier, dialsOut]),
      [["host-a", "tls", false], ["host-b", "tls", true], ["host-c", "tls", true]],
    );
    const [{ hosts: pair, bytes }, ...none] = summary.relayed;
    assert.deepEqual([pair, none], [["host-b", "host-c"], []]);
    // What is relayed leaves two cards, all else one.
    const traffic = await Promise.all(hosts.all.map((host) => host.traffic()));
    const kernel = traffic.reduce((sum, { sent }) => sum + sent, 0);
    const ratio = kernel / (summary.bytesBetweenHosts + bytes);
    assert.match(first.stdout, /relayed +\S+ \S+ host-b – host-c: hosts that could only dial out/);
    assert.ok(ratio > 1 && ratio < 1.08, `${ratio}`);
    assert.deepEqual(await leftOn(hosts, 5000), []);
  },
);
