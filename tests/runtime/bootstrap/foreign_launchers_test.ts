/** Ranks that something else than our launcher has started: by variables, and by mpirun. */

import assert from "node:assert/strict";
import { RendezvousError } from "../../../runtime/base/errors.ts";
import { formatAddress } from "../../../runtime/security/endpoint.ts";
import { checkReachable } from "../../../runtime/bootstrap/find_rendezvous.ts";
import { readEnvironment } from "../../../runtime/bootstrap/environment.ts";
import { readForeignLauncher } from "../../../runtime/bootstrap/foreign_launchers.ts";
import { program } from "../../_helpers/jobs.ts";

type Variables = Record<string, string>;

const reader = (variables: Variables) => (name: string): string | undefined => variables[name];

const TORCHRUN = {
  RANK: "3",
  WORLD_SIZE: "4",
  LOCAL_WORLD_SIZE: "2",
  MASTER_ADDR: "node1",
  MASTER_PORT: "29500",
  TORCHELASTIC_RUN_ID: "none",
  TORCHELASTIC_RESTART_COUNT: "0",
};
const SLURM = {
  SLURM_PROCID: "5",
  SLURM_NTASKS: "8",
  SLURM_NNODES: "2",
  SLURM_JOB_ID: "77",
  SLURM_STEP_ID: "0",
};
const OPENMPI = {
  OMPI_COMM_WORLD_RANK: "1",
  OMPI_COMM_WORLD_SIZE: "3",
  OMPI_COMM_WORLD_LOCAL_SIZE: "3",
  PMIX_NAMESPACE: "641531905",
};

Deno.test("each launcher's variables say which rank a process is", () => {
  assert.deepEqual(readForeignLauncher(reader(TORCHRUN)), {
    launcher: "torchrun",
    rank: 3,
    size: 4,
    near: false,
    job: "torchrun-none-0-29500",
    address: { hostname: "node1", port: 29500 },
  });
  const agent = readForeignLauncher(reader({ ...TORCHRUN, TORCHELASTIC_USE_AGENT_STORE: "True" }))!;
  assert.equal(agent.address!.port, 29501, "the agent's store holds the port itself");
  assert.deepEqual(readForeignLauncher(reader(SLURM)), {
    launcher: "slurm",
    rank: 5,
    size: 8,
    near: false,
    job: "slurm-77-0",
    address: null,
  });
  assert.deepEqual(readForeignLauncher(reader(OPENMPI)), {
    launcher: "openmpi",
    rank: 1,
    size: 3,
    near: true,
    job: "openmpi-641531905",
    address: null,
  });
  const pmi = readForeignLauncher(reader({ PMI_RANK: "0", PMI_SIZE: "2" }))!;
  assert.deepEqual([pmi.launcher, pmi.rank, pmi.size, pmi.near], ["pmi", 0, 2, null]);
  const pod = readForeignLauncher(reader({ JOB_COMPLETION_INDEX: "2", CELGC_SIZE: "5" }))!;
  assert.deepEqual([pod.launcher, pod.rank, pod.size], ["kubernetes", 2, 5]);
});

Deno.test("nobody's variables, a lonely RANK and CELGC_PLACE=none make no rank", () => {
  assert.equal(readForeignLauncher(reader({})), null);
  assert.equal(readForeignLauncher(reader({ RANK: "general" })), null);
  assert.equal(readForeignLauncher(reader({ ...SLURM, CELGC_PLACE: "none" })), null);
  assert.equal(readEnvironment(reader({ PMI_RANK: "0", PMI_SIZE: "1" })), null, "a single rank");
});

Deno.test("the launcher's own variables come first", () => {
  const own = {
    CELGC_RANK: "0",
    CELGC_SIZE: "2",
    CELGC_JOB: "j",
    CELGC_RENDEZVOUS: "127.0.0.1:1",
  };
  const info = readEnvironment(reader({ ...OPENMPI, ...own }))!;
  assert.deepEqual([info.rank, info.size, info.launcher], [0, 2, null]);
});

Deno.test("launchers that agree are one, those that do not are refused, and CELGC_PLACE decides", () => {
  const both = { ...OPENMPI, SLURM_PROCID: "1", SLURM_NTASKS: "3", SLURM_STEP_ID: "0" };
  assert.equal(readForeignLauncher(reader(both))!.launcher, "slurm");
  // As under srun that starts mpirun: all of its ranks inherit srun's variables.
  const script = { ...OPENMPI, SLURM_PROCID: "0", SLURM_NTASKS: "3", SLURM_STEP_ID: "0" };
  assert.throws(() => readForeignLauncher(reader(script)), (error) => {
    assert(error instanceof RendezvousError);
    assert.match(error.message, /Slurm's variables say rank 0 of 3/);
    assert.match(error.message, /Open MPI's variables say rank 1 of 3/);
    assert.match(error.message, /CELGC_PLACE=slurm or CELGC_PLACE=openmpi/);
    return true;
  });
  const decided = readForeignLauncher(reader({ ...script, CELGC_PLACE: "openmpi" }))!;
  assert.deepEqual([decided.launcher, decided.rank], ["openmpi", 1]);
});

Deno.test("Slurm's variables in a shell in which srun has started nothing are passed over", () => {
  const stale = { SLURM_PROCID: "0", SLURM_NTASKS: "8", SLURM_JOB_ID: "1" }, said: string[] = [];
  const read = (variables: Variables) =>
    readForeignLauncher(reader(variables), (line) => said.push(line));
  assert.equal(read(stale), null);
  assert.match(
    said.join("\n"),
    /^SLURM_PROCID is passed over: without SLURM_STEP_ID, srun has not/,
  );
  assert.equal(said.length, 1);
  said.length = 0;
  // An interactive shell of salloc is a step of one task, in an allocation for more.
  const shell = { ...stale, SLURM_STEP_ID: "4294967290", SLURM_STEP_NUM_TASKS: "1" };
  assert.equal(readEnvironment(reader(shell)), null);
  // A batch script that calls mpirun: all of its ranks inherit the script's variables.
  assert.equal(read({ ...OPENMPI, ...stale })!.launcher, "openmpi");
  assert.equal(read({ ...stale, SLURM_NTASKS: "1" }), null);
  assert.deepEqual(said, []);
  assert.equal(read({ ...stale, CELGC_PLACE: "slurm" })!.size, 8);
});

for (
  const [variables, message] of [
    [{ SLURM_PROCID: "0", SLURM_STEP_ID: "0" }, /SLURM_NTASKS is not set/],
    [{ JOB_COMPLETION_INDEX: "0" }, /Kubernetes' .*: CELGC_SIZE is not set/],
    [{ PMI_RANK: "2", PMI_SIZE: "2" }, /PMI_RANK is an integer from 0 to 1, not "2"/],
    [{ CELGC_PLACE: "lsf" }, /CELGC_PLACE is none or one of torchrun, .*, not "lsf"/],
    [{ CELGC_PLACE: "pmi" }, /PMI_RANK is not set/],
    [SLURM, /rank 5 of 8 on several hosts.*CELGC_FOLDER/],
    [
      { JOB_COMPLETION_INDEX: "0", CELGC_SIZE: "2", CELGC_FOLDER: "/shared" },
      /CELGC_FOLDER is set but CELGC_JOB is not, and kubernetes does not name the job/,
    ],
    [{ PMI_RANK: "0", PMI_SIZE: "2", CELGC_FOLDER: "/shared" }, /pmi does not name the job/],
    [{ ...SLURM, CELGC_RENDEZVOUS: "node1:4000" }, /CELGC_SECRET_FILE is not/],
    [{ ...SLURM, CELGC_RENDEZVOUS: "node1" }, /CELGC_RENDEZVOUS: an address is host:port/],
  ] as [Variables, RegExp][]
) {
  Deno.test(`variables are refused: ${JSON.stringify(variables).slice(0, 60)}`, () => {
    assert.throws(() => readEnvironment(reader(variables)), (error) => {
      assert(error instanceof RendezvousError);
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("ranks on several hosts meet in a folder that they share, or at an address", () => {
  const folder = readEnvironment(reader({ ...SLURM, CELGC_FOLDER: "/shared" }))!;
  assert.equal(folder.rendezvousFile, `/shared/celgc-slurm-77-0-${Deno.uid()}`);
  assert.deepEqual([folder.rendezvous, folder.near, folder.address], [null, false, null]);
  const named = { ...SLURM, CELGC_FOLDER: "/shared", CELGC_ADDRESS: "10.0.0.7" };
  assert.equal(readEnvironment(reader(named))!.address, "10.0.0.7");
  const secret = { CELGC_SECRET_FILE: "/run/secret" };
  const address = readEnvironment(reader({ ...SLURM, ...secret, CELGC_RENDEZVOUS: "node1:4000" }))!;
  assert.deepEqual(address.rendezvous, { hostname: "node1", port: 4000 });
  assert.equal(address.rendezvousFile, null);
  const torch = readEnvironment(reader({ ...TORCHRUN, ...secret }))!;
  assert.deepEqual(torch.rendezvous, { hostname: "node1", port: 29500 });
});

/** No child lives longer; its ranks give up before. */
const LONGEST_MS = 120_000;

Deno.test("ranks that are given a way between hosts are not believed to be on one", () => {
  const pod = { JOB_COMPLETION_INDEX: "1", CELGC_SIZE: "2" };
  const pmi = { PMI_RANK: "1", PMI_SIZE: "2" };
  const torch = { RANK: "1", WORLD_SIZE: "2", MASTER_ADDR: "node1", MASTER_PORT: "29500" };
  const secret = { CELGC_SECRET_FILE: "/run/secret" };
  const address = { ...secret, CELGC_RENDEZVOUS: "node1:4000" };
  for (const variables of [pod, pmi, torch]) {
    assert.equal(readEnvironment(reader({ ...variables, ...address }))!.near, false);
    const job = { CELGC_FOLDER: "/shared", CELGC_JOB: "j" };
    assert.equal(readEnvironment(reader({ ...variables, ...job }))!.near, false);
    assert.equal(readEnvironment(reader(variables))!.near, true);
  }
  assert.equal(readEnvironment(reader({ ...torch, ...secret }))!.near, false);
  // Of one name on all hosts, although nobody has named them.
  assert.equal(readEnvironment(reader({ ...pod, ...address }))!.job, "kubernetes");
  assert.equal(
    readEnvironment(reader({ ...OPENMPI, ...address }))!.near,
    true,
    "said by mpirun itself",
  );
});

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Starts ranks as a scheduler would, each with its own variables. */
async function start(size: number, variables: Variables, ...args: string[]) {
  return await startSome([...Array(size).keys()], size, variables, ...args);
}

/** Starts some of the ranks. */
async function startSome(ranks: number[], size: number, variables: Variables, ...args: string[]) {
  const outputs = ranks.map((rank) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", program("placed").href, ...args],
      env: {
        CELGC_JOIN_TIMEOUT: "50",
        ...variables,
        OMPI_COMM_WORLD_RANK: String(rank),
        OMPI_COMM_WORLD_SIZE: String(size),
        OMPI_COMM_WORLD_LOCAL_SIZE: String(size),
      },
      stdin: "null",
      signal: AbortSignal.timeout(LONGEST_MS),
    }).output()
  );
  return (await Promise.all(outputs)).map(({ code, stdout, stderr }) => ({
    code,
    stdout: decode(stdout),
    stderr: decode(stderr),
  }));
}

Deno.test("ranks without a launcher find each other, and leave no file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const variables = { PMIX_NAMESPACE: "1", CELGC_FOLDER: folder };
    for (const [rank, { code, stdout, stderr }] of (await start(3, variables)).entries()) {
      assert.equal(code, 0, stderr);
      assert.equal(stdout, `rank ${rank} of 3: 6\n`);
      const said = "celgc: rank 0 of 3, from Open MPI's variables";
      assert.equal(stderr.includes(said), rank === 0, stderr);
    }
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("jobs whose long names differ at the end alone have files of their own", () => {
  const info = (id: string) =>
    readEnvironment(reader({ ...OPENMPI, PMIX_NAMESPACE: `${"prterun-node-".repeat(9)}@${id}` }))!;
  const [one, two] = [info("1"), info("2")];
  assert.notEqual(one.job, two.job, "the handshake covers the whole name");
  assert(one.job.endsWith("@1") && one.job.length > 64, one.job);
  assert.notEqual(one.rendezvousFile, two.rendezvousFile);
  assert.match(one.rendezvousFile!, /\/celgc-openmpi-[\w.-]{23}-[0-9a-f]{32}-\d+$/);
  assert.equal(info("1").rendezvousFile, one.rendezvousFile);
});

/** Addresses of this host that others may know it by. */
const outside = Deno.networkInterfaces().flatMap(({ family, address, scopeid, name }) => {
  if (address === "::1" || address.startsWith("127.")) return [];
  return [family === "IPv6" && scopeid ? `${address}%${name}` : address];
});

for (const hostname of outside) {
  Deno.test(`rank 0 listens on ${hostname} if that is its address, and nowhere else`, async () => {
    const folder = await Deno.makeTempDir(), secret = `${folder}/secret`;
    try {
      await Deno.writeTextFile(secret, "0a".repeat(32), { mode: 0o600 });
      const probe = Deno.listen({ hostname, port: 0 });
      const { port } = probe.addr as Deno.NetAddr;
      probe.close();
      const variables = {
        CELGC_RENDEZVOUS: formatAddress(hostname, port),
        CELGC_SECRET_FILE: secret,
        CELGC_TRANSPORT: "tcp",
      };
      const first = startSome([0], 2, variables);
      for (let open = false; !open;) {
        open = await Deno.connect({ hostname, port }).then((it) => (it.close(), true), () => false);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      for (const other of ["127.0.0.1", "::1"]) {
        await assert.rejects(Deno.connect({ hostname: other, port }), /refused/i);
      }
      const second = startSome([1], 2, variables);
      for (const { code, stderr } of [...await first, ...await second]) {
        assert.equal(code, 0, stderr);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("ranks without a launcher of which one never comes end, naming it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const variables = { PMIX_NAMESPACE: "5", CELGC_FOLDER: folder, CELGC_JOIN_TIMEOUT: "10" };
    for (const { code, stderr } of await startSome([0, 1], 3, variables)) {
      assert.equal(code, 1, stderr);
      assert.match(stderr, /RendezvousError: .*cannot join: .*missing: rank 2/);
    }
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("ranks are not misled by what a killed job has left", async () => {
  const folder = await Deno.makeTempDir();
  // Whoever got the port since then: it hangs up.
  using stranger = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const dialled = Promise.withResolvers<void>();
  const accepting = (async () => {
    for await (const connection of stranger) {
      connection.close();
      dialled.resolve();
    }
  })();
  try {
    const path = `${folder}/celgc-openmpi-6-${Deno.uid()}`;
    const note = { hostname: "127.0.0.1", port: stranger.addr.port, secret: "0a".repeat(32) };
    await Deno.writeTextFile(path, JSON.stringify(note), { mode: 0o600 });
    const variables = { PMIX_NAMESPACE: "6", CELGC_FOLDER: folder };
    const early = startSome([1], 2, variables);
    await Promise.race([dialled.promise, early]);
    const ended = [...await startSome([0], 2, variables), ...await early];
    for (const [rank, { code, stdout, stderr }] of ended.entries()) {
      assert.equal(code, 0, stderr);
      assert.equal(stdout, `rank ${rank} of 2: 3\n`);
    }
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  } finally {
    stranger.close();
    await accepting.catch(() => {});
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an address that is another host's own is not given to it", () => {
  assert.throws(() => checkReachable("node1", "127.0.1.1", "CELGC_ADDRESS"), (error) => {
    assert(error instanceof RendezvousError);
    assert.match(error.message, /node1 is 127.0.1.1 on this host.*CELGC_ADDRESS/);
    return true;
  });
  checkReachable("node1", "10.0.0.7", "CELGC_ADDRESS");
  checkReachable("127.0.0.1", "127.0.0.1", "CELGC_RENDEZVOUS");
});

Deno.test("a rank without a launcher that fails is missed by all others", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const ended = await start(3, { PMIX_NAMESPACE: "2", CELGC_FOLDER: folder }, "1");
    assert.equal(ended[1].code, 3);
    for (const rank of [0, 2]) {
      assert.equal(ended[rank].code, 1, ended[rank].stderr);
      assert.match(ended[rank].stderr, /PeerLostError: .*lost rank 1/);
    }
    const aborted = await start(3, { PMIX_NAMESPACE: "3", CELGC_FOLDER: folder }, "2", "abort");
    assert.deepEqual(aborted.map(({ code }) => code), [5, 5, 5]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a file that others can read, or that nobody writes, is refused", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/celgc-openmpi-3-${Deno.uid()}`;
    await Deno.writeTextFile(path, "{}");
    await Deno.chmod(path, 0o644); // a mode given on creation would be cut by the umask
    const rank1 = { OMPI_COMM_WORLD_RANK: "1", OMPI_COMM_WORLD_SIZE: "2" };
    const variables = { ...rank1, CELGC_FOLDER: folder, CELGC_JOIN_TIMEOUT: "0.5" };
    for (
      const [job, message] of [["3", /cannot trust .*0600/], [
        "4",
        /rank 0 has not written .*/,
      ]] as [
        string,
        RegExp,
      ][]
    ) {
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", program("placed").href],
        env: { ...variables, PMIX_NAMESPACE: job },
        stdin: "null",
        signal: AbortSignal.timeout(LONGEST_MS),
      }).output();
      assert.equal(code, 1);
      assert.match(decode(stderr), message);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** What docs/launchers.md says that a rank without a launcher needs. */
const least = (folder: string) => [
  ...["--allow-env", "--allow-net", "--allow-sys=uid,hostname"],
  ...[`--allow-read=${folder}`, `--allow-write=${folder}`],
];

Deno.test("a rank that may not read its environment says so; one that may needs little else", async () => {
  const folder = await Deno.makeTempDir();
  const run = async (rank: number, flags: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-check", ...flags, program("placed").href],
      env: {
        CELGC_FOLDER: folder,
        CELGC_JOIN_TIMEOUT: "50",
        PMIX_NAMESPACE: "7",
        OMPI_COMM_WORLD_RANK: String(rank),
        OMPI_COMM_WORLD_SIZE: "2",
        OMPI_COMM_WORLD_LOCAL_SIZE: "2",
      },
      stdin: "null",
      signal: AbortSignal.timeout(LONGEST_MS),
    }).output();
    return { code, stdout: decode(stdout), stderr: decode(stderr) };
  };
  try {
    const hidden = await run(0, []);
    assert.deepEqual([hidden.code, hidden.stdout], [0, "rank 0 of 1: 1\n"]);
    assert.match(hidden.stderr, /a job of one rank: .*--allow-env/);
    assert.doesNotMatch((await run(0, ["--deny-env"])).stderr, /a job of one rank/);
    const both = await Promise.all([0, 1].map((rank) => run(rank, least(folder))));
    for (const [rank, { code, stdout, stderr }] of both.entries()) {
      assert.equal(code, 0, stderr);
      assert.equal(stdout, `rank ${rank} of 2: 3\n`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const hasMpirun = await new Deno.Command("mpirun", { args: ["--version"], stdout: "null" }).output()
  .then(({ success }) => success, () => false);

Deno.test({
  name: `mpirun starts the ranks${hasMpirun ? "" : " (not here)"}`,
  ignore: !hasMpirun,
  async fn() {
    const { code, stdout, stderr } = await new Deno.Command("mpirun", {
      args: [
        ..."--oversubscribe --allow-run-as-root -n 3".split(" "),
        ...[Deno.execPath(), "run", "-A", "--no-check", program("placed").href],
      ],
      env: { CELGC_JOIN_TIMEOUT: "50" },
      stdin: "null",
      signal: AbortSignal.timeout(LONGEST_MS),
    }).output();
    assert.equal(code, 0, decode(stderr));
    assert.deepEqual(
      decode(stdout).trim().split("\n").sort(),
      [0, 1, 2].map((rank) => `rank ${rank} of 3: 6`),
    );
  },
});
