/** Hosts of which others reach one port, or none, and what a cut cable does to them. */

import assert from "node:assert/strict";
import { type Host, type Hosts, leftOn, onHosts, type Running } from "./_hosts.ts";
import { noSsh, startSsh } from "./_ssh.ts";
import { celgc, hashOnOneHost, summaryOf, TINY } from "./_training.ts";

function onThreeHosts(name: string, fn: (hosts: Hosts, folder: string) => Promise<void>): void {
  onHosts(name, null, fn, { count: 3 });
}

/** A launcher on a host. */
interface Launcher {
  readonly host: Host;
  readonly ranks: number;
  readonly args?: readonly string[];
}

/** Starts the first launcher, and the others one after another, so that their ranks are in this order. */
async function start(
  [first, ...others]: readonly Launcher[],
  folder: string,
  options: readonly string[] = TINY,
): Promise<Running[]> {
  const invitation = ["--invitation", `${folder}/invitation`];
  const world = others.reduce((sum, { ranks }) => sum + ranks, first.ranks);
  const coordinator = first.host.start(celgc(
    ...["launch", "--ranks", String(first.ranks), "--world", String(world), ...invitation],
    ...[...first.args ?? [], ...options, "--out", `${folder}/run`],
  ));
  await coordinator.printed(/can join/);
  const started = [coordinator];
  for (const { host, ranks, args = [] } of others) {
    const agent = host.start(celgc("join", "--ranks", String(ranks), ...invitation, ...args));
    started.push(agent);
    await agent.printed(/joined job/);
  }
  return started;
}

/** An address of a host that no other has a way to, as behind a router that translates addresses. */
async function hiddenAddress(host: Host): Promise<string> {
  const address = "192.168.50.1";
  const { code, stderr } = await host.run(["ip", "addr", "add", `${address}/32`, "dev", "lo"]);
  assert.equal(code, 0, stderr);
  return address;
}

/** Looks at which ports a host listens until something has ended; returns those that others reach. */
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

onThreeHosts("with --port, training takes one open port a host", async (hosts, folder) => {
  const port = 29600;
  const launchers = await start(
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
  assert.equal(summary.weightsHash, await hashOnOneHost(8));
  assert.deepEqual(await leftOn(hosts, 5000), []);
});

onHosts(
  "with --port over ssh, each host has that port open and no other",
  noSsh,
  async (hosts, folder) => {
    const ssh = await startSsh(hosts, folder), [a, b] = hosts.all, port = "29600";
    const env = { PATH: `${ssh.folder}:${Deno.env.get("PATH")}` };
    const args = ["--hosts", "host-a:4,host-b:4", "--port", port, "--out", `${folder}/run`];
    const running = a.start(celgc("launch", ...args, ...TINY), { env });
    const ports = await openPorts(b, running.ended);
    const { code, stderr } = await running.ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual([...ports].sort(), [22, Number(port)]);
    assert.equal(summaryOf(`${folder}/run`).weightsHash, await hashOnOneHost(8));
    assert.deepEqual(await leftOn(hosts, 5000, ssh.pids), []);
  },
);

onThreeHosts(
  "two hosts that can only dial out train together, through a relay",
  async (hosts, folder) => {
    const [a, b, c] = hosts.all;
    const launchers = await start([
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
    assert.equal(summary.weightsHash, await hashOnOneHost(8));
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

onThreeHosts("a cable that is cut during training ends it on all hosts", async (hosts, folder) => {
  const [a, b, c] = hosts.all, timeout = 3;
  const options = [...TINY, "--max-steps", "100000", "--interval", "1", "--timeout", `${timeout}`];
  const launchers = await start(
    [
      { host: a, ranks: 1 },
      { host: b, ranks: 1, args: ["--listen", await hiddenAddress(b)] },
      { host: c, ranks: 2, args: ["--listen", await hiddenAddress(c)] },
    ],
    folder,
    options,
  );
  const metrics = `${folder}/run/metrics.jsonl`;
  const early = launchers.map(async ({ ended }) => assert.fail((await ended).stderr));
  while (!(await Deno.readTextFile(metrics).catch(() => "")).includes(`"type":"round"`)) {
    await Promise.race([...early, new Promise((resolve) => setTimeout(resolve, 50))]);
  }
  for (const each of early) each.catch(() => {});
  await c.cut();
  const cut = performance.now();
  const [first, second, third] = await Promise.all(launchers.map(({ ended }) => ended));
  const seconds = (performance.now() - cut) / 1000;
  assert.ok(seconds > 0.9 * timeout && seconds < timeout + 15, `${seconds} s`);
  assert.notEqual(first.code, 0);
  // On this side of the cut a rank beyond it is named, and on that side the coordinator.
  assert.match(first.stderr, /rank [23] on host-c/, first.stderr);
  assert.match(second.stderr, /rank [23] on host-c/, second.stderr);
  assert.match(third.stderr, /the coordinator is gone: it has given no sign of life for \d+ s/);
  assert.deepEqual(await leftOn(hosts, 5000), []);
});
