/** Runs that are spread otherwise, and each in the weights of the same ranks on one host. */

import assert from "node:assert/strict";
import { hasTool, leftOn, onHosts } from "./_hosts.ts";
import { containerEnvironment, indexedJob, noIndexedJob } from "./_indexed_job.ts";
import { noSsh, startSsh } from "./_ssh.ts";
import { celgc, hashOnOneHost, placesIn, summaryOf, TINY, trainInvited } from "./_training.ts";

/** What the pods of the Kubernetes job are called. */
const NAMES = ["train-0.train", "train-1.train"];

/** A small network on texts. */
const TEXT = ["--task", "ptb", "--layers", "1", "--hidden", "8", "--embedding", "8", "--bptt", "5"]
  .concat("--eval-tokens 20 --test-columns 1 --device cpu --max-steps 4 --interval 2".split(" "))
  .concat("--batch-size 2".split(" "));

onHosts(
  "three hosts, two of which have no data and do not see the run's folder",
  null,
  async (hosts, folder) => {
    const own = `${folder}/a`, data = `${own}/data`, out = `${own}/run`;
    await Deno.mkdir(data, { recursive: true });
    for (const split of ["train", "valid", "test"]) {
      const lines = Array.from({ length: 300 }, (_, i) => `the cat ${i} sat on the mat`);
      await Deno.writeTextFile(`${data}/${split}.txt`, lines.join("\n"));
    }
    await trainInvited(hosts, folder, {
      ranks: [2, 1, 1],
      args: [...TEXT, "--data", data, "--send-data", "--out", out],
      hidden: own,
      join: (index) => ["--out", `${folder}/kept-${index}`],
    });
    assert.deepEqual(placesIn(out).map(([, ranks]) => ranks), [[0, 1], [2], [3]]);
    assert.equal(summaryOf(out).weightsHash, await hashOfTexts(data));
    // Each keeps what its own ranks have said, which has come to rank 0 as well.
    const ranks = [1, 2].flatMap((index) => {
      const kept = `${folder}/kept-${index}`;
      return [...Deno.readDirSync(kept)].map(({ name }) => {
        const log = Deno.readTextFileSync(`${kept}/${name}`);
        assert.equal(log, Deno.readTextFileSync(`${out}/${name}`));
        return name;
      });
    });
    assert.deepEqual(ranks.sort(), ["rank-2.log", "rank-3.log"]);
  },
  { count: 3 },
);

/** The weights of four ranks on one host that learn from texts. */
async function hashOfTexts(data: string): Promise<string> {
  return await hashOnOneHost(4, [...TEXT, "--data", data]);
}

onHosts(
  "runs go on after all hosts have ended, with parts that stayed there, or with ranks elsewhere",
  null,
  async (hosts, folder) => {
    const begun = [...TINY, "--checkpoint-every", "2", "--max-steps", "2"];
    const hash = await hashOnOneHost(4);
    const local = `${folder}/a/local`, common = `${folder}/a/common`;
    await Deno.mkdir(`${folder}/a`);
    const join = () => ["--out", `${folder}/kept`], hidden = `${folder}/a`;
    await trainInvited(hosts, folder, {
      ranks: [2, 2],
      args: [...begun, "--checkpoint-local", "--out", local],
      hidden,
      join,
    });
    const goOn = (run: string) => ["--resume", run, "--max-steps", "4"];
    await trainInvited(hosts, folder, { ranks: [2, 2], args: goOn(local), hidden, join });
    assert.equal(summaryOf(local).weightsHash, hash);
    await trainInvited(hosts, folder, { ranks: [2, 2], args: [...begun, "--out", common] });
    await trainInvited(hosts, folder, { ranks: [1, 3], args: goOn(common) });
    assert.deepEqual(placesIn(common), [["host-a", [0]], ["host-b", [1, 2, 3]]]);
    assert.equal(summaryOf(common).weightsHash, hash);
  },
);

onHosts(
  "a plan and a sweep whose cells run on the same two hosts",
  noSsh,
  async (hosts, folder) => {
    const ssh = await startSsh(hosts, folder), [a] = hosts.all, out = `${folder}/sweep`;
    const env = { PATH: `${ssh.folder}:${Deno.env.get("PATH")}` };
    const args = ["sweep", "--hosts", "host-a:2,host-b:2", ...TINY, "--interval", "1,2"];
    const refused = await a.run(celgc(...args, "--participants", "5", "--out", out), { env });
    assert.equal(refused.code, 2, refused.stderr);
    assert.match(refused.stderr, /--participants must be at most --ranks, 4, not 5/);
    const small = TINY.slice(0, TINY.indexOf("--interval"));
    const plan = ["plan", "--hosts", "host-a:1,host-b:1", ...small, "--json"];
    const planned = await a.run(celgc(...plan), { env });
    assert.equal(planned.code, 0, planned.stderr);
    const { hosts: there, ranks, link, measured } = JSON.parse(planned.stdout);
    assert.deepEqual([there, ranks, link, measured.ranks], [2, 2, null, 2]);
    assert.ok(measured.network.latencySeconds > 0 && measured.allreduce.length > 0);
    const { code, stderr } = await a.run(celgc(...args, "--out", out), { env });
    assert.equal(code, 0, stderr);
    const cells = [...Deno.readDirSync(out)].filter(({ isDirectory }) => isDirectory);
    assert.equal(cells.length, 2);
    for (const { name } of cells) {
      assert.deepEqual(placesIn(`${out}/${name}`), [["host-a", [0, 1]], ["host-b", [2, 3]]]);
      const [, interval] = /interval=(\d)/.exec(name)!;
      const { weightsHash } = summaryOf(`${out}/${name}`);
      assert.equal(weightsHash, await hashOnOneHost(4, [...TINY, "--interval", interval]), name);
    }
    assert.deepEqual(await leftOn(hosts, 5000, ssh.pids), []);
  },
);

onHosts(
  "a run on hosts that are not this one begins on the first of them, and ends with this one",
  noSsh,
  async (hosts, folder) => {
    const ssh = await startSsh(hosts, folder), [a] = hosts.all, out = `${folder}/run`;
    const env = { PATH: `${ssh.folder}:${Deno.env.get("PATH")}` };
    await Deno.writeTextFile(`${folder}/hostfile`, "host-b slots=2\nhost-c slots=2\n");
    const named = ["launch", "--hostfile", `${folder}/hostfile`];
    const { code, stdout, stderr } = await a.run(
      celgc(...named, ...TINY, "--json", "--out", out),
      { env },
    );
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /this host is not among those that are named: the launch begins on host-b/,
    );
    assert.deepEqual(placesIn(out), [["host-b", [0, 1]], ["host-c", [2, 3]]]);
    const hash = await hashOnOneHost(4);
    assert.deepEqual([JSON.parse(stdout).weightsHash, summaryOf(out).weightsHash], [hash, hash]);
    const refused = await a.run(celgc(...named, ...TINY, "--participants", "5"), { env });
    assert.equal(refused.code, 2, refused.stderr);
    assert.match(refused.stderr, /--participants must be at most --ranks, 4, not 5/);
    for (const [signal, expected] of [["SIGTERM", 85], ["SIGKILL", 137]] as const) {
      const long = [
        ...TINY,
        "--max-steps",
        "1000000",
        "--epochs",
        "1000000",
        "--out",
        `${out}-${signal}`,
      ];
      const started = a.start(celgc(...named, ...long), { env });
      await started.printed(/untrained/);
      started.kill(signal);
      assert.equal((await started.ended).code, expected, started.text());
      assert.deepEqual(await leftOn(hosts, 20_000, ssh.pids), []);
    }
  },
  { count: 3 },
);

onHosts(
  "training over Open MPI itself, between two hosts",
  noSsh ?? (await hasTool("mpirun.openmpi") ? null : "mpirun.openmpi is not installed"),
  async (hosts, folder) => {
    const ssh = await startSsh(hosts, folder), [a] = hosts.all, out = `${folder}/run`;
    const { code, stderr } = await a.run([
      ...["mpirun.openmpi", "--allow-run-as-root", "-n", "4", "--host", "host-a:2,host-b:2"],
      ...["--mca", "plm_rsh_agent", ssh.command, "-x", "CELGC_FOLDER"],
      ...celgc("launch", "--transport", "mpi", ...TINY, "--out", out),
    ], { env: { CELGC_FOLDER: folder } });
    assert.equal(code, 0, stderr);
    const { hosts: there, weightsHash } = summaryOf(out);
    assert.deepEqual(placesIn(out), [["host-a", [0, 1]], ["host-b", [2, 3]]]);
    assert.deepEqual(there.map(({ carrier }: { carrier: string }) => carrier), ["mpi", "mpi"]);
    assert.equal(weightsHash, await hashOnOneHost(4));
    assert.deepEqual(await leftOn(hosts, 5000, ssh.pids), []);
  },
);

onHosts(
  "training under torchrun, itself",
  await hasTool("torchrun") ? null : "torchrun is not installed",
  async (hosts, folder) => {
    const secret = `${folder}/secret`, out = `${folder}/run`;
    await Deno.writeTextFile(secret, "0a".repeat(32), { mode: 0o600 });
    const nodes = hosts.all.map((host, node) =>
      host.run([
        ...["torchrun", "--nnodes", "2", "--node_rank", String(node), "--nproc_per_node", "1"],
        ...["--master_addr", "host-a", "--master_port", "29500", "--log_dir", folder],
        // Rank 9 there is not: torch 1.13 under Python 3.11 stumbles over its own defaults.
        ...["--redirects", "9:1", "--tee", "9:1", "--no_python"],
        ...celgc("launch", "--ranks", "2", ...TINY, "--out", out),
      ], { env: { CELGC_SECRET_FILE: secret } })
    );
    for (const { code, stderr } of await Promise.all(nodes)) assert.equal(code, 0, stderr);
    assert.deepEqual(placesIn(out), [["host-a", [0, 1]], ["host-b", [2, 3]]]);
    assert.equal(summaryOf(out).weightsHash, await hashOnOneHost(4));
    assert.deepEqual(await leftOn(hosts, 5000), []);
  },
);

onHosts(
  "training in the pods of indexed_job.yaml, behind the name of its headless service",
  noIndexedJob,
  async (hosts, folder) => {
    const [{ command, args }] = indexedJob!.job.spec.template.spec.containers;
    const env: Record<string, string> = {
      ...containerEnvironment(),
      CELGC_SECRET_FILE: `${folder}/secret`,
    };
    assert.equal(env.CELGC_RENDEZVOUS.split(":")[0], NAMES[0]);
    await Deno.writeTextFile(env.CELGC_SECRET_FILE, "0a".repeat(32), { mode: 0o600 });
    const [deno, run, all, noCheck, main] = celgc();
    const words = [...command, ...args].flatMap((word: string) =>
      word === "deno"
        ? [deno]
        : /^https:.*\/main\.ts$/.test(word)
        ? [noCheck, main]
        : [word.replace("=/out", `=${folder}/out`).replace("--ranks=4", "--ranks=2")]
    );
    assert.ok(words.includes(run) && words.some((word) => word === all || word === "--allow-all"));
    const pods = hosts.all.map((host, index) =>
      host.run([...words, ...TINY, "--out", `${folder}/run`], {
        env: { ...env, JOB_COMPLETION_INDEX: String(index) },
      })
    );
    for (const { code, stderr } of await Promise.all(pods)) assert.equal(code, 0, stderr);
    assert.deepEqual(placesIn(`${folder}/run`).map(([, ranks]) => ranks), [[0, 1], [2, 3]]);
    assert.equal(summaryOf(`${folder}/run`).weightsHash, await hashOnOneHost(4));
    assert.deepEqual(await leftOn(hosts, 5000), []);
  },
  { ownNameIsLoopback: true, aliases: NAMES },
);
