/** Training on two hosts, four ranks on each, ends in the weights of eight ranks on one host. */

import assert from "node:assert/strict";
import { ROOT } from "../_helpers/deno.ts";
import { hasTool, type Hosts, leftOn, onHosts } from "./_hosts.ts";
import { noSlurm, runBatch, startSlurm } from "./_slurm.ts";
import { noSsh, startSsh } from "./_ssh.ts";
import { celgc, hashOnOneHost, summaryOf, TINY } from "./_training.ts";

const needs = async (tool: string) => await hasTool(tool) ? null : `${tool} is not installed`;

/** Checks how a run on two hosts has ended, and that nothing has stayed. */
async function assertTrained(
  { code, stderr }: { code: number; stderr: string },
  hosts: Hosts,
  folder: string,
  daemons: readonly number[] = [],
): Promise<void> {
  assert.equal(code, 0, stderr);
  const summary = summaryOf(`${folder}/run`);
  assert.deepEqual([summary.ranks, summary.identicalWeights], [8, true]);
  assert.deepEqual(
    summary.hosts.map((
      { name, ranks, carrier }: Record<string, unknown>,
    ) => [name, ranks, carrier]),
    [["host-a", [0, 1, 2, 3], "tls"], ["host-b", [4, 5, 6, 7], "tls"]],
  );
  assert.equal(summary.weightsHash, await hashOnOneHost(8));
  assert.deepEqual(await leftOn(hosts, 5000, daemons), []);
}

onHosts("training with a host that has been invited", null, async (hosts, folder) => {
  const [a, b] = hosts.all, invitation = ["--invitation", `${folder}/invitation`];
  const out = ["--out", `${folder}/run`];
  const world = ["--ranks", "4", "--world", "8", ...invitation];
  const first = a.start(celgc("launch", ...world, ...TINY, ...out));
  await first.printed(/can join/);
  // It has a folder of its own to stand in: nothing is read or written there.
  await Deno.mkdir(`${folder}/elsewhere`);
  const cwd = `${folder}/elsewhere`;
  const second = b.start(celgc("join", "--ranks", "4", ...invitation), { cwd });
  await assertTrained(await first.ended, hosts, folder);
  assert.equal((await second.ended).code, 0);
  assert.deepEqual([...Deno.readDirSync(cwd)].map(({ name }) => name), []);
});

onHosts("training over ssh, with a hostfile", noSsh, async (hosts, folder) => {
  const ssh = await startSsh(hosts, folder), [a] = hosts.all;
  await Deno.writeTextFile(`${folder}/hostfile`, "host-a slots=4\nhost-b slots=4\n");
  const out = ["--out", `${folder}/run`], hostfile = ["--hostfile", `${folder}/hostfile`];
  const env = { PATH: `${ssh.folder}:${Deno.env.get("PATH")}` };
  const ended = await a.run(celgc("launch", ...hostfile, ...TINY, ...out), { env });
  await assertTrained(ended, hosts, folder, ssh.pids);
});

onHosts(
  "training under Open MPI's mpirun",
  noSsh ?? await needs("mpirun.openmpi"),
  async (hosts, folder) => {
    const ssh = await startSsh(hosts, folder), [a] = hosts.all;
    const ended = await a.run([
      ...["mpirun.openmpi", "--allow-run-as-root", "-n", "2", "--host", "host-a:1,host-b:1"],
      ...["--mca", "plm_rsh_agent", ssh.command, "-x", "CELGC_FOLDER"],
      ...celgc("launch", "--ranks", "4", ...TINY, "--out", `${folder}/run`),
    ], { env: { CELGC_FOLDER: folder } });
    await assertTrained(ended, hosts, folder, ssh.pids);
  },
);

onHosts(
  "training under MPICH's mpirun",
  noSsh ?? await needs("mpirun.mpich"),
  async (hosts, folder) => {
    const ssh = await startSsh(hosts, folder), [a] = hosts.all;
    const ended = await a.run([
      ...["mpirun.mpich", "-n", "2", "-hosts", "host-a:1,host-b:1"],
      ...["-launcher", "ssh", "-launcher-exec", ssh.command],
      ...celgc("launch", "--ranks", "4", ...TINY, "--out", `${folder}/run`),
    ], { env: { CELGC_FOLDER: folder, CELGC_JOB: "mpich" } });
    await assertTrained(ended, hosts, folder, ssh.pids);
  },
);

onHosts("training as a batch job of Slurm's", noSlurm, async (hosts, folder) => {
  await using slurm = await startSlurm(hosts, folder);
  const [a] = hosts.all, output = `${folder}/output`;
  const script = new URL("docs/launchers/job.sbatch", ROOT).pathname;
  const own = { CELGC: new URL(ROOT).pathname, CELGC_FOLDER: folder, OUT: `${folder}/run` };
  const code = await runBatch(
    a,
    ["--overcommit", "-o", output, "-e", output, script, ...TINY],
    { ...slurm.env, ...own },
  );
  const stderr = Deno.readTextFileSync(output);
  await assertTrained({ code, stderr }, hosts, folder, slurm.pids);
});

onHosts("a batch job of Slurm's that is to end is queued again", noSlurm, async (hosts, folder) => {
  await using slurm = await startSlurm(hosts, folder);
  const [a] = hosts.all, output = `${folder}/output`, out = `${folder}/run`;
  const script = new URL("docs/launchers/job.sbatch", ROOT).pathname;
  const own = { CELGC: new URL(ROOT).pathname, CELGC_FOLDER: folder, OUT: out };
  const env = { ...slurm.env, ...own, RANKS_PER_NODE: "1" };
  const long = [...TINY, "--max-steps", "1000000", "--epochs", "1000000"];
  const files = ["--parsable", "--overcommit", "-o", output, "-e", output];
  const { stdout, stderr } = await a.run(["sbatch", ...files, script, ...long], { env });
  const job = stdout.trim(), said = () => Deno.readTextFileSync(output);
  /** Waits until Slurm, or the run, says so. */
  const until = async (text: () => string | Promise<string>, pattern: RegExp) => {
    for (const end = performance.now() + 60_000; !pattern.test(await text());) {
      assert.ok(performance.now() < end, `${pattern}: ${await text()} ${stderr} ${slurm.log()}`);
      await new Promise((wake) => setTimeout(wake, 200));
    }
  };
  const state = async () => (await a.run(["scontrol", "show", "job", job], { env })).stdout;
  const log = () => Deno.readTextFile(`${out}/metrics.jsonl`).catch(() => "");
  await until(log, /"step":20,/);
  await a.run(["scancel", "--batch", "--signal=USR1", job], { env });
  await until(state, /Requeue=1 Restarts=1/);
  assert.match(said(), /ended by SIGUSR1 after step \d+, with a checkpoint; --resume \S+ goes on/);
  // Slurm would wait for two minutes.
  await until(async () => {
    await a.run(["scontrol", "update", `JobId=${job}`, "StartTime=now"], { env });
    return said();
  }, /taken over from config.json/);
  // To all processes of all steps, ranks among them.
  await a.run(["scancel", job], { env });
  await until(state, /JobState=CANCELLED/);
  assert.deepEqual(await leftOn(hosts, 20_000, slurm.pids), []);
});

onHosts(
  "the summary counts the bytes between hosts as the kernel does",
  null,
  async (hosts, folder) => {
    const [a, b] = hosts.all, invitation = ["--invitation", `${folder}/invitation`];
    const steps = ["--max-steps", "24", "--interval", "1"], out = ["--out", `${folder}/run`];
    const world = ["--ranks", "2", "--world", "4", ...invitation];
    const first = a.start(celgc("launch", ...world, ...TINY, ...steps, ...out));
    await first.printed(/can join/);
    const second = b.start(celgc("join", "--ranks", "2", ...invitation));
    const { code, stderr } = await first.ended;
    assert.equal(code, 0, stderr);
    assert.equal((await second.ended).code, 0);
    const kernel = (await a.traffic()).sent + (await b.traffic()).sent;
    const ratio = kernel / summaryOf(`${folder}/run`).bytesBetweenHosts;
    assert.ok(ratio > 1 && ratio < 1.02, `${ratio}`);
  },
);
