/** Launchers of one job on several hosts, which here are processes with names of their own. */

import assert from "node:assert/strict";
import { InterruptedError } from "../../../runtime/launcher/interrupts.ts";
import { launchProgram } from "../../../runtime/launcher/launch.ts";
import {
  joinLaunch,
  type World,
  type WorldOptions,
} from "../../../runtime/launcher/across_hosts.ts";
import { openWorld } from "../../../runtime/launcher/across_hosts.ts";
import type { LaunchProgramOptions } from "../../../runtime/launcher/options.ts";
import {
  encodeInvitation,
  type Invitation,
  readInvitationFile,
} from "../../../runtime/agents/invitation.ts";
import { celgcCommand, denoCommand, ROOT } from "../../_helpers/deno.ts";
import { isAlive, pidsIn, program, survivors } from "../../_helpers/jobs.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const OPTIONS = { handleSignals: false, say: () => {} };

/** An agent in a process of its own, on a host of its own. */
class Agent {
  readonly process: Deno.ChildProcess;
  readonly ended: Promise<{ code: number; stderr: string }>;

  constructor(host: string, invitation: string, ranks: number, ...args: string[]) {
    this.process = denoCommand([
      ...["run", "-A", "--no-check", new URL("tasks/cli/main.ts", ROOT).href, "join"],
      ...["--ranks", String(ranks), "--invitation", invitation, ...args],
    ], { env: { CELGC_HOST: host } }).spawn();
    this.ended = this.process.output().then(({ code, stderr }) => ({
      code,
      stderr: new TextDecoder().decode(stderr),
    }));
  }
}

/** Waits for an invitation. */
async function invited(path: string): Promise<Invitation> {
  for (;;) {
    try {
      return await readInvitationFile(path);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** A world of this process and of agents on other hosts, begun in the given order. */
async function makeWorld(
  path: string,
  options: Omit<WorldOptions, "ranks"> & { ranks: number },
  ...agents: readonly (readonly [host: string, ranks: number])[]
): Promise<{ world: World; agents: Agent[] }> {
  const opening = openWorld({ ...OPTIONS, invitation: path, ...options });
  await invited(path);
  const started = agents.map(([host, ranks]) => new Agent(host, path, ranks));
  return { world: await opening, agents: started };
}

/** Runs a program on a world and keeps what it printed. */
async function runOn(world: World, name: string, options: Partial<LaunchProgramOptions> = {}) {
  const lines: string[] = [];
  const outcome = await launchProgram({
    ranks: world.size,
    program: program(name),
    on: world,
    quiet: true,
    handleSignals: false,
    onOutput: (rank, line) => lines.push(`${rank} ${line}`),
    ...options,
  });
  return { ...outcome, lines };
}

Deno.test("ranks of three hosts are one job, and another one after it", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/invitation`;
  const { world, agents } = await makeWorld(path, { ranks: 1, world: 4 }, ["b", 2], ["c", 1]);
  {
    await using hosts = world;
    assert.equal(hosts.size, 4);
    assert.deepEqual(hosts.hosts.map(({ first }) => first)[0], 0);
    assert.deepEqual(hosts.hosts.slice(1).map(({ host }) => host).sort(), ["b", "c"]);
    const logDir = `${folder.path}/logs`;
    for (let job = 0; job < 2; job++) {
      const { code, lines } = await runOn(hosts, "placed", { logDir });
      assert.equal(code, 0);
      assert.deepEqual(
        lines.sort(),
        [0, 1, 2, 3].map((rank) => `${rank} rank ${rank} of 4: 10`),
      );
    }
    assert.equal(await Deno.readTextFile(`${logDir}/rank-3.log`), "rank 3 of 4: 10\n");
  }
  for (const { ended } of agents) assert.equal((await ended).code, 0);
  await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
});

Deno.test("a rank that fails on another host is named with it, and its code is everybody's", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/invitation`;
  const { world, agents: [agent] } = await makeWorld(path, { ranks: 1, world: 3 }, ["b", 2]);
  {
    await using hosts = world;
    const { code, failure } = await runOn(hosts, "placed", { args: ["2"] });
    assert.equal(code, 3);
    assert.match(failure!.message, /^rank 2 on b ended with exit code 3/);
    assert.match(failure!.message, /\[2\] rank 2 of 3: 6/);
  }
  const { code, stderr } = await agent.ended;
  assert.equal(code, 3);
  assert.match(stderr, /celgc: rank 2 on b ended with exit code 3/);
});

Deno.test("an agent that is killed ends the job, with its ranks on its host as everywhere", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/invitation`;
  const { world, agents: [agent] } = await makeWorld(path, { ranks: 1, world: 3 }, ["b", 2]);
  await using hosts = world;
  const lines: string[] = [];
  const started = performance.now();
  const { code, failure } = await runOn(hosts, "ends", {
    args: ["loop", "9"],
    onOutput: (_, line) => {
      if (lines.push(line) === 3) setTimeout(() => agent.process.kill("SIGKILL"), 500);
    },
  });
  assert.notEqual(code, 0);
  assert.match(failure!.message, /^rank [12] on b /);
  assert.ok(performance.now() - started < 20_000);
  await agent.ended;
  assert.deepEqual(await survivors(pidsIn(lines), 3000), []);
});

Deno.test("an agent whose coordinator is killed ends, and its ranks with it", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/invitation`;
  const coordinator = celgcCommand(
    ...["launch", "--world", "2", "--ranks", "1", "--invitation", path],
    ...["--out", folder.path, program("ends").href, "loop", "9"],
  ).spawn();
  coordinator.stdout.cancel();
  coordinator.stderr.cancel();
  await invited(path);
  const agent = new Agent("b", path, 1);
  const pids: number[] = [];
  while (pids.length < 2) {
    pids.length = 0;
    for (const rank of [0, 1]) {
      const text = await Deno.readTextFile(`${folder.path}/rank-${rank}.log`).catch(() => "");
      pids.push(...pidsIn(text.split("\n")));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(pids.every(isAlive));
  coordinator.kill("SIGKILL");
  const { code, stderr } = await agent.ended;
  assert.equal(code, 1);
  assert.match(stderr, /the coordinator is gone: its connection has ended/);
  assert.deepEqual(await survivors(pids, 3000), []);
  await coordinator.status;
});

for (
  const [signal, replaced] of [["SIGINT", false], ["SIGKILL", false], ["SIGKILL", true]] as const
) {
  const what = replaced
    ? "but another's in the place of its invitation"
    : "neither invitation nor folder";
  Deno.test(`${signal} to a launcher that waits for others leaves ${what}`, async () => {
    await using folder = await temporaryFolder();
    const launcher = denoCommand([
      ...["run", "-A", "--no-check", new URL("tasks/cli/main.ts", ROOT).href, "launch"],
      ...["--world", "2", "--ranks", "1", program("ends").href],
    ], { env: { TMPDIR: folder.path }, stderr: "piped" }).spawn();
    let said = "";
    for await (const text of launcher.stderr.pipeThrough(new TextDecoderStream())) {
      if ((said += text).includes("can join at")) break;
    }
    const path = /the invitation in (.*),/.exec(said)![1];
    assert.equal(path.startsWith(folder.path), true, said);
    if (replaced) await Deno.writeTextFile(path, "another's");
    launcher.kill(signal);
    await Promise.all([launcher.stdout.cancel(), launcher.status]);
    const left = () =>
      [...Deno.readDirSync(folder.path)].map(({ name }) => `${folder.path}/${name}`);
    const expected = replaced ? [path] : [];
    for (let looks = 0; looks < 200 && left().length > expected.length; looks++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.deepEqual(left(), expected);
  });
}

Deno.test("Ctrl-C at an agent ends the job on all hosts", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/invitation`;
  const { world, agents: [agent] } = await makeWorld(path, { ranks: 1, world: 2 }, ["b", 1]);
  const lines: string[] = [];
  {
    await using hosts = world;
    const { code, interrupted, pending } = await runOn(hosts, "ends", {
      args: ["loop", "9"],
      onOutput: (_, line) => {
        if (lines.push(line) === 2) setTimeout(() => agent.process.kill("SIGINT"), 500);
      },
    });
    assert.deepEqual([code, interrupted], [130, "SIGINT"]);
    assert.match(pending!, /ranks? \d/);
  }
  assert.equal((await agent.ended).code, 130);
  assert.deepEqual(await survivors(pidsIn(lines), 3000), []);
});

Deno.test("whoever is not invited is refused in one line, and the world goes on", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/invitation`, said: string[] = [];
  const say = (line: string) => void said.push(line);
  const opening = openWorld({ ...OPTIONS, ranks: 1, world: 2, invitation: path, say });
  const invitation = await invited(path);
  const join = (changes: Partial<Invitation>, options = {}) =>
    joinLaunch(encodeInvitation({ ...invitation, ...changes }), {
      ...{ ...OPTIONS, ranks: 1, joinTimeout: 20 },
      ...options,
    });
  await assert.rejects(join({ secret: "00".repeat(32) }), /hung up on this agent.*secret/);
  await assert.rejects(join({ job: "another" }), /hung up on this agent.*name of the job/);
  await assert.rejects(join({ expires: 0 }), /the invitation expired/);
  await assert.rejects(join({ version: "9.9.9" }), /version 9\.9\.9 .* this is version 0\.1\.0/);
  await assert.rejects(
    join({ version: "9.9.9" }, { version: "9.9.9" }),
    /runs version 9\.9\.9 of the program, the coordinator on .* version 0\.1\.0/,
  );
  await assert.rejects(join({}, { ranks: 3 }), /offers 3 ranks, and the world has room for 1 more/);
  const other = await makeOther(`${folder.path}/other`);
  await assert.rejects(join({ ca: other.ca }), /cannot trust the coordinator at /);
  const joined = join({});
  await using world = await opening;
  assert.equal(world.size, 2);
  assert.equal(said.filter((line) => line.startsWith("refused an agent: ")).length, 2);
  await world[Symbol.asyncDispose]();
  assert.deepEqual(await joined, { code: 0, message: null });
});

/** The invitation of another job, which has ended. */
async function makeOther(path: string): Promise<Invitation> {
  const controller = new AbortController();
  const options = { ...OPTIONS, ranks: 1, world: 2, invitation: path };
  const opening = openWorld({ ...options, signal: controller.signal });
  const invitation = await invited(path);
  controller.abort();
  await assert.rejects(opening, InterruptedError);
  return invitation;
}

Deno.test("a world that does not become complete says what is missing", async () => {
  await using folder = await temporaryFolder();
  const invitation = `${folder.path}/invitation`;
  await assert.rejects(
    openWorld({ ...OPTIONS, ranks: 2, world: 5, invitation, joinTimeout: 0.3 }),
    /after 0\.3 s the world has 2 of 5 ranks \(2 on .*\): 3 are missing/,
  );
  await assert.rejects(Deno.stat(invitation), Deno.errors.NotFound);
});

Deno.test("an agent that cannot start its ranks says why", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/invitation`;
  const opening = openWorld({ ...OPTIONS, ranks: 1, world: 2, invitation: path });
  const joined = joinLaunch(await invited(path), {
    ...{ ...OPTIONS, ranks: 1 },
    prepare: (details, place) => {
      throw new Error(`${JSON.stringify(details)} of ${place.first}+${place.count} is not here`);
    },
  });
  {
    await using world = await opening;
    const { code, failure } = await runOn(world, "placed", { details: { data: "x" } });
    assert.equal(code, 1);
    assert.match(failure!.message, /cannot be started: \{"data":"x"\} of 1\+1 is not here/);
  }
  assert.equal((await joined).code, 1);
});

Deno.test({
  name: "an agent whose user has ended the job leaves nothing that goes on behind it",
  sanitizeOps: true,
  sanitizeResources: true,
  async fn() {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/invitation`, stop = new AbortController();
    const opening = openWorld({ ...OPTIONS, ranks: 1, world: 2, invitation: path });
    const joined = joinLaunch(await invited(path), { ...OPTIONS, ranks: 1, signal: stop.signal });
    {
      await using world = await opening;
      const { interrupted } = await runOn(world, "ends", {
        args: ["idle"],
        onOutput: () => stop.abort(), // their process numbers
      });
      assert.equal(interrupted, "abort");
    }
    assert.equal((await joined).code, 143);
  },
});

Deno.test("hosts that ssh reaches get the invitation on standard input; it is no argument", async () => {
  await using folder = await temporaryFolder();
  const ssh = `${folder.path}/ssh`;
  // Another host, as far as names go: `ssh -o BatchMode=yes -- b command`.
  await Deno.writeTextFile(
    ssh,
    `#!/bin/sh\n[ "$1 $2 $3" = "-o BatchMode=yes --" ] || exit 9\n` +
      `[ "$4" = c ] && { echo "ssh: c: no such host" >&2; exit 255; }\n` +
      `printf '%s\\n' "$5" > ${folder.path}/command\nexport CELGC_HOST="$4"\nexec /bin/sh -c "$5"\n`,
    { mode: 0o755 },
  );
  const options = { ...OPTIONS, ranks: 1, ssh: { command: [ssh] } };
  {
    await using world = await openWorld({ ...options, hosts: "localhost:1,b:2" });
    assert.deepEqual(world.hosts.map(({ first, count }) => [first, count]), [[0, 1], [1, 2]]);
    assert.equal(world.hosts[1].host, "b");
    const { code, lines } = await runOn(world, "placed");
    assert.equal(code, 0);
    assert.equal(lines.length, 3);
  }
  assert.doesNotMatch(await Deno.readTextFile(`${folder.path}/command`), /celgc-invitation/);
  await assert.rejects(
    openWorld({ ...options, hosts: "b:1,c:1" }),
    /c: ssh ended with exit code 255 before its ranks were there: ssh: c: no such host/,
  );
  await assert.rejects(
    openWorld({ ...options, hosts: "b:1", world: 2 }),
    /take 1 rank, not the 2/,
  );
});

for (const first of [0, 1]) {
  Deno.test(`launchers under mpirun find each other, launcher ${first} first`, async () => {
    await using folder = await temporaryFolder();
    const start = (rank: number) =>
      denoCommand([
        ...["run", "-A", "--no-check", new URL("tasks/cli/main.ts", ROOT).href, "launch"],
        program("placed").href,
      ], {
        env: {
          OMPI_COMM_WORLD_RANK: String(rank),
          OMPI_COMM_WORLD_SIZE: "2",
          OMPI_COMM_WORLD_LOCAL_SIZE: "2",
          PMIX_NAMESPACE: `test-${Deno.pid}-${first}`,
          TMPDIR: folder.path,
        },
      }).output();
    const one = start(first);
    await new Promise((resolve) => setTimeout(resolve, 700));
    const other = start(1 - first);
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    const outputs = await Promise.all([one, other]);
    const [coordinator, agent] = first === 0 ? outputs : outputs.reverse();
    assert.deepEqual([coordinator.code, agent.code], [0, 0], text(coordinator.stderr));
    assert.match(
      text(coordinator.stderr),
      /launcher 0 of 2, from Open MPI's variables: the coordinator/,
    );
    assert.deepEqual(text(coordinator.stdout).trim().split("\n").sort(), [
      "[0] rank 0 of 2: 3",
      "[1] rank 1 of 2: 3",
    ]);
    assert.equal(text(agent.stdout), "");
    const left = Array.from(Deno.readDirSync(folder.path), ({ name }) => name);
    assert.deepEqual(left.filter((name) => name.startsWith("celgc-")), [], "secrets stay behind");
  });
}
