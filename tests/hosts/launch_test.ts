/** One job on two hosts, each with a launcher of ours: by invitation, over ssh, under others' launchers. */

import assert from "node:assert/strict";
import { ROOT } from "../_helpers/deno.ts";
import { hasTool, type Hosts, leftOn, onHosts as onTwoHosts } from "./_hosts.ts";
import { makeCertificate } from "../../runtime/security/certificate.ts";
import {
  encodeInvitation,
  type Invitation,
  readInvitationFile,
} from "../../runtime/agents/invitation.ts";
import { program } from "../_helpers/jobs.ts";
import { containerEnvironment, indexedJob, noIndexedJob } from "./_indexed_job.ts";
import { noSlurm, runBatch, startSlurm } from "./_slurm.ts";
import { noSsh, startSsh } from "./_ssh.ts";

const main = new URL("tasks/cli/main.ts", ROOT).href;
const exchanges = new URL(import.meta.resolve("./programs/exchanges.ts")).href;
const placed = program("placed").href;
/** What the pods of the Kubernetes job are called. */
const NAMES = ["train-0.train", "train-1.train"];
/** Two on each of two hosts. */
const RANKS = 4;

const needs = async (tool: string) => await hasTool(tool) ? null : `${tool} is not installed`;

/** A command of the command line, with options and a program. */
const celgc = (...args: string[]) => [Deno.execPath(), "run", "-A", "--no-check", main, ...args];

/** Checks that four ranks on two hosts have met. */
function assertMet(stdout: string, ranks: number): void {
  const sum = ranks * (ranks + 1) / 2;
  const lines = stdout.trim().split("\n").map((line) => line.replace(/^\[\d+\] /, "")).sort();
  assert.deepEqual(lines, [...Array(ranks).keys()].map((r) => `rank ${r} of ${ranks}: ${sum}`));
}

/** Starts a job of two ranks on each of two hosts, the second of which has been invited. */
async function startInvited(
  hosts: Hosts,
  folder: string,
  ...args: string[]
) {
  const [a, b] = hosts.all, invitation = ["--invitation", `${folder}/invitation`];
  const first = a.start(celgc("launch", "--ranks", "2", "--world", "4", ...invitation, ...args));
  await first.printed(/can join/);
  const second = b.start(celgc("join", "--ranks", "2", ...invitation));
  return [first, second];
}

/** A test on two hosts; nobody may rely on a host's own name. */
const onHosts = (
  name: string,
  missing: string | null,
  fn: (hosts: Hosts, folder: string) => Promise<void>,
) => onTwoHosts(name, missing, fn, { ownNameIsLoopback: true, aliases: NAMES });

onHosts("a host that has been invited takes part", null, async (hosts, folder) => {
  const both = await startInvited(hosts, folder, placed);
  const [first, second] = await Promise.all(both.map(({ ended }) => ended));
  assert.equal(first.code, 0, first.stderr);
  assert.equal(second.code, 0, second.stderr);
  assertMet(first.stdout, RANKS);
  assert.equal(second.stdout, "", "what ranks print comes out at the coordinator");
  assert.deepEqual(await leftOn(hosts, 2000), []);
  await assert.rejects(Deno.stat(`${folder}/invitation`), Deno.errors.NotFound);
});

onHosts("hosts that ssh reaches take part", noSsh, async (hosts, folder) => {
  const ssh = await startSsh(hosts, folder), [a] = hosts.all;
  const launch = celgc("launch", "--hosts", "host-a:2,host-b:2", placed);
  const PATH = `${ssh.folder}:${Deno.env.get("PATH")}`;
  const { code, stdout, stderr } = await a.run(launch, { env: { PATH } });
  assert.equal(code, 0, stderr);
  assertMet(stdout, RANKS);
  // What ssh or its other side has to say is shown, and a rank's failure is that of the job.
  const failed = await a.run([...launch, "--", "3"], { env: { PATH } });
  assert.equal(failed.code, 3, failed.stderr);
  assert.match(failed.stderr, /rank 3 on host-b/);
  const nobody = await a.run(celgc("launch", "--hosts", "host-a:2,host-x:2", placed), {
    env: { PATH },
  });
  assert.equal(nobody.code, 1);
  assert.match(nobody.stderr, /host-x/);
  assert.deepEqual(await leftOn(hosts, 2000, ssh.pids), []);
});

onHosts(
  "launchers under Open MPI's mpirun",
  noSsh ?? await needs("mpirun.openmpi"),
  async (hosts, folder) => {
    const ssh = await startSsh(hosts, folder), [a] = hosts.all;
    const { code, stdout, stderr } = await a.run([
      ...["mpirun.openmpi", "--allow-run-as-root", "-n", "2", "--host", "host-a:1,host-b:1"],
      ...["--mca", "plm_rsh_agent", ssh.command, "-x", "CELGC_FOLDER"],
      ...celgc("launch", "--ranks", "2", placed),
    ], { env: { CELGC_FOLDER: folder } });
    assert.equal(code, 0, stderr);
    assertMet(stdout, RANKS);
    assert.match(stderr, /launcher 0 of 2, from Open MPI's variables/);
    assert.deepEqual(await leftOn(hosts, 2000, ssh.pids), []);
  },
);

onHosts(
  "launchers under MPICH's mpirun",
  noSsh ?? await needs("mpirun.mpich"),
  async (hosts, folder) => {
    const ssh = await startSsh(hosts, folder), [a] = hosts.all;
    const { code, stdout, stderr } = await a.run([
      ...["mpirun.mpich", "-n", "2", "-hosts", "host-a:1,host-b:1"],
      ...[
        "-launcher",
        "ssh",
        "-launcher-exec",
        ssh.command,
        ...celgc("launch", "--ranks", "2", placed),
      ],
    ], { env: { CELGC_FOLDER: folder, CELGC_JOB: "mpich" } });
    assert.equal(code, 0, stderr);
    assertMet(stdout, RANKS);
    assert.match(stderr, /launcher 0 of 2, from PMI's variables/);
    assert.deepEqual(await leftOn(hosts, 2000, ssh.pids), []);
  },
);

onHosts("launchers under srun, one a node and one a rank", noSlurm, async (hosts, folder) => {
  await using slurm = await startSlurm(hosts, folder);
  const [a] = hosts.all, env = { ...slurm.env, CELGC_FOLDER: folder };
  for (const [launchers, ranks] of [[2, ["--ranks", "2"]], [4, []]] as [number, string[]][]) {
    const srun = ["srun", "-N", "2", "-n", String(launchers), "--overcommit"];
    const { code, stdout, stderr } = await a.run([...srun, ...celgc("launch", ...ranks, placed)], {
      env,
    });
    assert.equal(code, 0, stderr);
    assertMet(stdout, RANKS);
    assert.match(stderr, new RegExp(`launcher 0 of ${launchers}, from Slurm's variables`));
  }
  // The batch script that users start from.
  const script = new URL("docs/launchers/job.sbatch", ROOT).pathname, output = `${folder}/output`;
  const own = { CELGC: new URL(ROOT).pathname, OUT: `${folder}/run`, RANKS_PER_NODE: "2" };
  const files = ["-o", output, "-e", `${output}2`];
  const code = await runBatch(a, ["--overcommit", ...files, script, placed], { ...env, ...own });
  assert.equal(code, 0, Deno.readTextFileSync(`${output}2`));
  assertMet(Deno.readTextFileSync(output), RANKS);
  assert.deepEqual(await leftOn(hosts, 5000, slurm.pids), []);
});

onHosts("launchers in the pods of indexed_job.yaml", noIndexedJob, async (hosts, folder) => {
  const [{ command, args }] = indexedJob!.job.spec.template.spec.containers;
  const env: Record<string, string> = {
    ...containerEnvironment(),
    CELGC_SECRET_FILE: `${folder}/secret`,
  };
  assert.equal(env.CELGC_RENDEZVOUS.split(":")[0], NAMES[0]);
  await Deno.writeTextFile(env.CELGC_SECRET_FILE, "0a".repeat(32), { mode: 0o600 });
  const words = [...command, ...args].map((word: string) =>
    word === "deno"
      ? Deno.execPath()
      : word.replace(/^https:.*\/main\.ts$/, main).replace("=/out", `=${folder}`)
        .replace("--ranks=4", "--ranks=2")
  );
  const pods = hosts.all.map((host, index) =>
    host.run([...words, placed], { env: { ...env, JOB_COMPLETION_INDEX: String(index) } })
  );
  const [first, second] = await Promise.all(pods);
  assert.equal(first.code, 0, first.stderr);
  assert.equal(second.code, 0, second.stderr);
  assertMet(first.stdout, RANKS);
  assert.deepEqual(await leftOn(hosts, 2000), []);
});

onHosts("strangers are refused with one line, and harm nobody", null, async (hosts, folder) => {
  const [a, b] = hosts.all, invitation = `${folder}/invitation`;
  const first = a.start(
    celgc(..."launch --ranks 2 --world 4 --invitation".split(" "), invitation, placed),
  );
  await first.printed(/can join/);
  const own = await readInvitationFile(invitation), other = await makeCertificate();
  const late = new Date(Date.now() - 60_000), secret = "0b".repeat(32);
  const cases: [string, Partial<Invitation> | string, RegExp][] = [
    ["a wrong secret", { secret }, /most likely the secret/],
    ["another job's", { secret, job: "another", ca: other.ca }, /certificate/],
    ["an authority of somebody else's", { ca: other.ca }, /certificate/],
    ["one that has expired", { expires: late.getTime() }, /expired at .* start the job again/],
    ["another version", { version: "0.0.1" }, /version 0\.0\.1 .* version 0\.1\.0/],
    ["a damaged one", encodeInvitation(own).slice(0, -4), /damaged/],
    ["something else", "hello", /no invitation/],
  ];
  for (const [what, change, message] of cases) {
    const path = `${folder}/other`;
    const text = typeof change === "string" ? change : encodeInvitation({ ...own, ...change });
    await Deno.writeTextFile(path, text, { mode: 0o600 });
    const { code, stdout, stderr } = await b.run(
      celgc("join", "--ranks", "2", "--invitation", path),
    );
    assert.equal(code, 1, what);
    assert.equal(stdout, "");
    assert.match(stderr, message, `${what}: ${stderr}`);
    assert.equal(stderr.trim().split("\n").length, 1, `${what}: ${stderr}`);
    assert.ok(!stderr.includes(own.secret), what);
  }
  const second = b.start(celgc("join", "--ranks", "2", "--invitation", invitation));
  assert.equal((await second.ended).code, 0, second.text());
  assertMet((await first.ended).stdout, RANKS);
});

onHosts(
  "a coordinator whose certificate has expired is not trusted",
  null,
  async (hosts, folder) => {
    const [a, b] = hosts.all;
    const late = await makeCertificate({ notAfter: new Date(Date.now() - 60_000) });
    await Deno.writeTextFile(`${folder}/cert`, late.cert);
    await Deno.writeTextFile(`${folder}/key`, late.key);
    const serve = `const [cert, key] = ["cert", "key"].map((name) =>
      Deno.readTextFileSync(${JSON.stringify(`${folder}/`)} + name));
    const listener = Deno.listenTls({ hostname: "0.0.0.0", port: 4000, cert, key });
    console.log("ready");
    for (;;) {
      const connection = await listener.accept();
      connection.handshake().catch(() => {});
    }`;
    const server = a.start([Deno.execPath(), "eval", serve]);
    await server.printed(/ready/);
    const path = `${folder}/invitation`;
    await Deno.writeTextFile(
      path,
      encodeInvitation({
        ...{ version: "0.1.0", job: "late", secret: "0b".repeat(32), ca: late.ca },
        ...{ addresses: [`${a.address}:4000`], expires: Date.now() + 60_000 },
      }),
      { mode: 0o600 },
    );
    const { code, stderr } = await b.run(celgc("join", "--ranks", "2", "--invitation", path));
    assert.equal(code, 1);
    assert.match(stderr, /expired/i);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
    server.kill("SIGKILL");
  },
);

onHosts(
  "a cut cable ends the job on both hosts, and names the peer",
  null,
  async (hosts, folder) => {
    const timeout = 3;
    const args = ["--timeout", String(timeout), exchanges, "--", "1000000", "1000"];
    const [first, second] = await startInvited(hosts, folder, ...args);
    await first.printed(/(pid[^]*){4}/);
    await hosts[1].cut();
    const cut = performance.now();
    const ended = await Promise.all([first.ended, second.ended]);
    const seconds = (performance.now() - cut) / 1000;
    assert.notEqual(ended[0].code, 0);
    assert.notEqual(ended[1].code, 0);
    assert.match(ended[0].stderr, /rank [23] on host-b.* no sign of life for \d s/);
    assert.match(ended[1].stderr, /the coordinator is gone: it has given no sign of life for \d s/);
    assert.ok(seconds < timeout + 10, `${seconds} s`);
    assert.deepEqual(await leftOn(hosts, 2000), []);
  },
);

for (const [who, victim] of [["the coordinator", 0], ["an agent", 1]] as const) {
  onHosts(`nothing runs on after ${who} has been killed`, null, async (hosts, folder) => {
    const args = ["--timeout", "5", exchanges, "--", "1000000", "1000"];
    const both = await startInvited(hosts, folder, ...args);
    await both[0].printed(/(pid[^]*){4}/);
    both[victim].kill("SIGKILL");
    const ended = await both[1 - victim].ended;
    assert.equal(ended.code, 1, ended.stderr);
    assert.match(
      ended.stderr,
      victim === 0 ? /the coordinator is gone/ : /rank [23] on host-b was lost/,
    );
    assert.deepEqual(await leftOn(hosts, 8000), []);
  });
}

onHosts(
  "under TLS the kernel counts what ranks count, and some headers",
  null,
  async (hosts, folder) => {
    // By itself it takes the direct exchange where the network is fast.
    const args = [exchanges, "--", "16", "1000000", "two-level"];
    const [first, second] = await startInvited(hosts, folder, ...args);
    const { code, stdout, stderr } = await first.ended;
    assert.equal(code, 0, stderr);
    assert.equal((await second.ended).code, 0);
    for (const [i, host] of hosts.all.entries()) {
      let sent = 0;
      for (const rank of [2 * i, 2 * i + 1]) {
        sent += Number(new RegExp(`rank ${rank} sent (\\d+)`).exec(stdout)![1]);
      }
      // Each host sends a buffer once for each sum, half of it as exact partial sums, which are longer.
      assert.ok(sent / 64_000_000 > 0.999 && sent / 64_000_000 < 1.06, `${host.name}: ${sent}`);
      // 22 bytes for each record of at most 16 KiB, besides the headers of frames and acknowledgements.
      const ratio = (await host.traffic()).sent / sent;
      assert.ok(ratio > 1 && ratio < 1.02, `${host.name}: ${ratio}`);
    }
  },
);
