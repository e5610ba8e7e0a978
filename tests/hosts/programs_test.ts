/** Programs over two hosts, started by what sites have: two ranks on each. */

import assert from "node:assert/strict";
import { type Ended, ROOT } from "../_helpers/deno.ts";
import {
  hasTool,
  type Host,
  leftOn,
  makeHosts,
  makeLoopbackHosts,
  namespacesNote,
  noNamespaces,
} from "./_hosts.ts";
import { program } from "../_helpers/jobs.ts";
import { temporaryFolder } from "../_helpers/temporary_folder.ts";
import { noSlurm, runBatch, startSlurm } from "./_slurm.ts";
import { noSsh, startSsh } from "./_ssh.ts";

const RANKS = 4;
const placed = [Deno.execPath(), "run", "-A", "--no-check", program("placed").href];

/** A test on two hosts, skipped where there are none, or where what it needs besides is not there. */
function onHosts(name: string, missing: string | null, fn: () => Promise<void>): void {
  const note = missing === null ? namespacesNote : ` (skipped: ${missing})`;
  const ignore = noNamespaces !== null || missing !== null;
  Deno.test({ name: `${name}${note}`, ignore, fn });
}

const needs = async (tool: string) => await hasTool(tool) ? null : `${tool} is not installed`;

/** Checks that all ranks have met, whoever's output it is. */
function assertMet({ code, stdout, stderr }: Ended, from: string): void {
  assert.equal(code, 0, stderr);
  const lines = stdout.trim().split("\n").sort();
  assert.deepEqual(lines, [...Array(RANKS).keys()].map((r) => `rank ${r} of ${RANKS}: 10`), stderr);
  assert.ok(stderr.includes(`celgc: rank 0 of ${RANKS}, from ${from}`), stderr);
}

onHosts(
  "Open MPI's mpirun over ssh, with a hostfile",
  noSsh ?? await needs("mpirun.openmpi"),
  async () => {
    await using folder = await temporaryFolder();
    await using hosts = await makeHosts(2);
    const ssh = await startSsh(hosts, folder.path), [a] = hosts.all;
    // The one that users start from, with the names of these hosts.
    const text = await Deno.readTextFile(new URL("docs/launchers/hostfile", ROOT));
    const hostfile = `${folder.path}/hostfile`, names = { node1: "host-a", node2: "host-b" };
    const here = text.replace(/^node\d/gm, (name) => names[name as "node1" | "node2"]);
    await Deno.writeTextFile(hostfile, here);
    const ended = await a.run([
      ...["mpirun.openmpi", "--allow-run-as-root", "-n", String(RANKS), "--map-by", "node"],
      ...["--hostfile", hostfile, "--mca", "plm_rsh_agent", ssh.command],
      ...["-x", "CELGC_FOLDER", ...placed],
    ], { env: { CELGC_FOLDER: folder.path } });
    assertMet(ended, "Open MPI's variables");
    assert.deepEqual(await leftOn(hosts, 2000, ssh.pids), []);
  },
);

onHosts("MPICH's mpirun over ssh", noSsh ?? await needs("mpirun.mpich"), async () => {
  await using folder = await temporaryFolder();
  await using hosts = await makeHosts(2);
  const ssh = await startSsh(hosts, folder.path), [a] = hosts.all;
  const ended = await a.run([
    ...["mpirun.mpich", "-n", String(RANKS), "-hosts", "host-a:2,host-b:2"],
    ...["-launcher", "ssh", "-launcher-exec", ssh.command, ...placed],
  ], { env: { CELGC_FOLDER: folder.path, CELGC_JOB: "mpich" } });
  assertMet(ended, "PMI's variables");
  assert.deepEqual(await leftOn(hosts, 2000, ssh.pids), []);
});

onHosts("srun and sbatch on two nodes", noSlurm, async () => {
  await using folder = await temporaryFolder();
  await using hosts = await makeHosts(2);
  await using slurm = await startSlurm(hosts, folder.path);
  const [a] = hosts.all, env = { ...slurm.env, CELGC_FOLDER: folder.path };
  const place = ["-N", "2", "-n", String(RANKS), "--overcommit"];
  assertMet(await a.run(["srun", ...place, ...placed], { env }), "Slurm's variables");
  // One that fails is missed by the others, wherever they are.
  const failed = await a.run(["srun", "--kill-on-bad-exit=0", ...place, ...placed, "3"], { env });
  assert.equal(failed.code, 3, failed.stderr);
  assert.match(failed.stderr, /PeerLostError: .*lost rank 3/);
  const script = `${folder.path}/job.sh`, output = `${folder.path}/job.txt`;
  await Deno.writeTextFile(script, `#!/bin/sh\nsrun --overcommit ${placed.join(" ")}\n`);
  const files = ["-o", output, "-e", `${output}2`];
  const code = await runBatch(a, [...files, ...place, script], env);
  const ended = [output, `${output}2`].map((path) => Deno.readTextFileSync(path));
  assertMet({ code, stdout: ended[0], stderr: ended[1] }, "Slurm's variables");
  assert.deepEqual(await leftOn(hosts, 5000, slurm.pids), []);
});

onHosts("torchrun, itself, on two nodes", await needs("torchrun"), async () => {
  await using folder = await temporaryFolder();
  await using hosts = await makeHosts(2);
  const secret = await writeSecret(folder.path);
  const nodes = hosts.all.map((host, node) =>
    host.run([
      ...["torchrun", "--nnodes", "2", "--node_rank", String(node), "--nproc_per_node", "2"],
      ...["--master_addr", "host-a", "--master_port", "29500", "--log_dir", folder.path],
      // Rank 9 there is not: torch 1.13 under Python 3.11 stumbles over its own defaults.
      ...["--redirects", "9:1", "--tee", "9:1", "--no_python", ...placed],
    ], { env: { CELGC_SECRET_FILE: secret } })
  );
  const ended = await Promise.all(nodes);
  const code = ended[0].code || ended[1].code;
  const [stdout, stderr] = [ended[0].stdout + ended[1].stdout, ended[0].stderr + ended[1].stderr];
  assertMet({ code, stdout, stderr }, "torchrun's variables");
  assert.deepEqual(await leftOn(hosts, 5000), []);
});

onHosts("ranks on hosts whose own names are 127.0.1.1 there", null, async () => {
  await using folder = await temporaryFolder();
  await using hosts = await makeHosts(2, { ownNameIsLoopback: true });
  const env = { CELGC_FOLDER: folder.path, CELGC_JOB: "debian", PMI_SIZE: String(RANKS) };
  const ranks = [0, 1, 2, 3].map((rank) =>
    hosts.all[rank >> 1].run(placed, { env: { ...env, PMI_RANK: String(rank) } })
  );
  const ended = await Promise.all(ranks);
  const text = (stream: "stdout" | "stderr") => ended.map((rank) => rank[stream]).join("");
  const code = Math.max(...ended.map(({ code }) => code));
  assertMet({ code, stdout: text("stdout"), stderr: text("stderr") }, "PMI's variables");
});

for (const network of ["IPv4", "IPv6", "scoped IPv6", "loopback addresses"]) {
  const isLoopback = network === "loopback addresses";
  const fn = async () => {
    await using folder = await temporaryFolder();
    await using hosts = isLoopback ? makeLoopbackHosts(2) : await makeHosts(2);
    const secret = await writeSecret(folder.path), [a] = hosts.all;
    const rendezvous = isLoopback
      ? `${a.address}:${freePort(a.address)}`
      : network === "IPv4"
      ? "host-a:29500"
      : `[${network === "IPv6" ? a.address6 : await scoped(a)}]:29500`;
    const pods = [0, 1, 2, 3].map((index) => {
      const own = { JOB_COMPLETION_INDEX: String(index), CELGC_SIZE: String(RANKS) };
      const env = { ...own, CELGC_RENDEZVOUS: rendezvous, CELGC_SECRET_FILE: secret };
      return hosts.all[index >> 1].run(placed, { env });
    });
    const ended = await Promise.all(pods);
    const text = (stream: "stdout" | "stderr") => ended.map((pod) => pod[stream]).join("");
    const code = Math.max(...ended.map(({ code }) => code));
    assertMet({ code, stdout: text("stdout"), stderr: text("stderr") }, "Kubernetes' index");
    assert.deepEqual(await leftOn(hosts, 2000), []);
  };
  const name = `the pods of a Kubernetes Indexed Job, over ${network}`;
  if (!isLoopback) onHosts(name, null, fn);
  else {
    const why = noNamespaces === null ? "" : ` (no hosts of their own: ${noNamespaces})`;
    Deno.test({ name: `${name}${why}`, ignore: Deno.build.os !== "linux", fn });
  }
}

/** The address that a host's card has given itself: it means something on the same cable alone. */
async function scoped(host: Host): Promise<string> {
  const { stdout } = await host.run(["ip", "-o", "-6", "addr", "show", "dev", "eth0"]);
  return `${/fe80:\S+(?=\/)/.exec(stdout)![0]}%eth0`;
}

/** A port that nobody listens on. */
function freePort(hostname: string): number {
  using listener = Deno.listen({ hostname, port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

/** Writes a secret as docs/launchers.md says; its path. */
async function writeSecret(folder: string): Promise<string> {
  const path = `${folder}/secret`;
  await Deno.writeTextFile(path, "0a".repeat(32), { mode: 0o600 });
  return path;
}
