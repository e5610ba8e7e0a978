/** A Slurm of Debian's packages whose nodes are the hosts of a test: its daemons started by hand. */

import { hasTool, type Host, type Hosts, type Running } from "./_hosts.ts";

const TOOLS = ["munged", "slurmctld", "slurmd", "srun", "sbatch"];

/** Why there is no Slurm here; null if there is. */
export const noSlurm: string | null = await (async () => {
  for (const name of TOOLS) if (!await hasTool(name)) return `${name} is not installed`;
  return null;
})();

/** The daemons that are always at fixed ports listen here, in namespaces of their own. */
const CONTROLLER_PORT = 6817, NODE_PORT = 6818;

/** A Slurm that runs. */
export interface Slurm extends AsyncDisposable {
  /** What its commands need in their environment. */
  readonly env: Record<string, string>;
  /** The daemons on the hosts. */
  readonly pids: readonly number[];
  /** What they have said. */
  log(): string;
}

/** Starts one; the controller is on the first host, every host is a node of two processors. */
export async function startSlurm(hosts: Hosts, folder: string): Promise<Slurm> {
  const [first] = hosts.all, limitMs = 600_000;
  for (const name of ["state", "run", ...hosts.all.map(({ name }) => `spool/${name}`)]) {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
  }
  const socket = `${folder}/run/munge.socket`, key = `${folder}/munge.key`;
  await Deno.writeFile(key, crypto.getRandomValues(new Uint8Array(128)), { mode: 0o400 });
  const names = hosts.all.map(({ name }) => name).join(",");
  const configuration = [
    "ClusterName=test",
    `SlurmctldHost=${first.name}(${first.address})`,
    `SlurmctldPort=${CONTROLLER_PORT}`,
    `SlurmdPort=${NODE_PORT}`,
    "AuthType=auth/munge",
    `AuthInfo=socket=${socket}`,
    "ProctrackType=proctrack/pgid",
    "TaskPlugin=task/none",
    "SlurmUser=root",
    `StateSaveLocation=${folder}/state`,
    `SlurmdSpoolDir=${folder}/spool/%n`,
    `SlurmctldPidFile=${folder}/run/slurmctld.pid`,
    `SlurmdPidFile=${folder}/run/slurmd-%n.pid`,
    "SelectType=select/cons_tres",
    "SelectTypeParameters=CR_Core",
    "ReturnToService=2",
    "MpiDefault=none",
    ...hosts.all.map(({ name, address }) =>
      `NodeName=${name} NodeAddr=${address} CPUs=2 State=UNKNOWN`
    ),
    `PartitionName=p Nodes=${names} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8`,
  ];
  const file = `${folder}/slurm.conf`, env = { SLURM_CONF: file };
  await Deno.writeTextFile(file, configuration.join("\n") + "\n");
  const daemons: Running[] = [];
  const stop = async () => {
    for (const daemon of daemons.reverse()) daemon.kill("SIGKILL");
    await Promise.all(daemons.map(({ ended }) => ended));
  };
  try {
    const munge = ["--foreground", "--force", "--num-threads=2", `--key-file=${key}`];
    for (const [name, path] of [["socket", socket], ["pid-file", `${folder}/run/munge.pid`]]) {
      munge.push(`--${name}=${path}`);
    }
    munge.push(`--seed-file=${folder}/munge.seed`, `--log-file=${folder}/munge.log`);
    daemons.push(first.start(["/usr/sbin/munged", ...munge], { limitMs }));
    await daemons[0].printed(/Created \d+ work thread/);
    const controller = ["/usr/sbin/slurmctld", "-D", "-c", "-f", file];
    daemons.push(first.start(controller, { env, limitMs }));
    for (const host of hosts.all) {
      const node = ["/usr/sbin/slurmd", "-D", "-c", "-f", file, "-N", host.name];
      daemons.push(host.start(node, { env, limitMs }));
    }
    const log = () => daemons.map((daemon) => daemon.text()).join("\n");
    const until = performance.now() + 30_000;
    for (;;) {
      const { stdout } = await first.run(["sinfo", "-h", "-N", "-o", "%T"], { env });
      const states = stdout.trim().split("\n");
      if (states.length === hosts.all.length && states.every((state) => state === "idle")) break;
      if (performance.now() > until) throw new Error(`Slurm's nodes are ${states}:\n${log()}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    // Some have children that stay.
    const pids = (await Promise.all(hosts.all.map((host) => host.pids()))).flat();
    return { env, log, pids, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Submits a batch job and waits for its end; `sbatch --wait` looks for that every ten seconds alone.
 *
 * @returns its exit code
 */
export async function runBatch(
  host: Host,
  args: readonly string[],
  env: Record<string, string>,
): Promise<number> {
  const { stdout, stderr } = await host.run(["sbatch", "--parsable", ...args], { env });
  const job = stdout.trim();
  if (!/^\d+$/.test(job)) throw new Error(`sbatch took no job: ${stderr}`);
  for (;;) {
    const { stdout } = await host.run(["scontrol", "-o", "show", "job", job], { env });
    const [, state, code] = /JobState=(\S+).* ExitCode=(\d+):/.exec(stdout) ?? [];
    if (state !== "PENDING" && state !== "RUNNING" && state !== "COMPLETING") return Number(code);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
