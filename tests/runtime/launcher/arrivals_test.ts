/** Hosts come to a job that runs, and one is lost; they are processes with names of their own. */

import assert from "node:assert/strict";
import { readInvitationFile } from "../../../runtime/agents/invitation.ts";
import { joinLaunch, openWorld } from "../../../runtime/launcher/across_hosts.ts";
import { launchProgram } from "../../../runtime/launcher/launch.ts";
import { denoCommand, endedAs, ROOT } from "../../_helpers/deno.ts";
import { pidsIn, program, survivors } from "../../_helpers/jobs.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { waysBetweenHosts } from "../_three_hosts.ts";

const MAIN = new URL("tasks/cli/main.ts", ROOT).href;

for (const [hosts, join] of Object.entries(waysBetweenHosts(29680))) {
  // The host that is there from the beginning is killed, or that which came later is interrupted.
  const leaves = hosts === "that dial each other" ? 1 : 0, lost = leaves + 1;
  Deno.test(`hosts ${hosts} come to a job that runs, also in the stead of one that is lost`, async () => {
    await using resources = new AsyncDisposableStack();
    const folder = resources.use(await temporaryFolder()), invitation = `${folder.path}/invitation`;
    const agents: Deno.ChildProcess[] = [];
    /** Starts ranks on the next host. */
    const come = (ranks: number) => {
      const host = agents.length + 1;
      const process = denoCommand([
        ...["run", "-A", "--no-check", MAIN, "join", "--quiet", "--invitation", invitation],
        ...["--ranks", String(ranks), ...join(host)],
      ], { env: { CELGC_HOST: `host-${host}` } }).spawn();
      agents.push(resources.use(process));
    };
    const { promise: isInvited, resolve: say } = Promise.withResolvers<string>();
    const opening = openWorld({
      ...{ ranks: 1, world: 2, mostRanks: 4, invitation, joinTimeout: 120, handleSignals: false },
      say,
    });
    assert.match(
      await Promise.race([isInvited, opening.then(String)]),
      /^1 rank and, later, hosts can join at .* until \d\d:\d\d, 4 ranks at most, with the invitation in/,
    );
    come(1);
    const lines: string[][] = [];
    const { promise: hasCome, resolve: grown } = Promise.withResolvers<void>();
    {
      await using on = await opening;
      const running = launchProgram({
        ...{ ranks: 2, on, quiet: true, handleSignals: false, onFailure: "return" },
        program: program("failures/grows"),
        args: ["9@9", "10", "4"],
        allow: ["run", "ffi"],
        onLost: ({ rank, withHost }) => {
          assert(withHost);
          if (rank === lost) come(2);
        },
        onOutput(rank, line) {
          (lines[rank] ??= []).push(line);
          if (rank === 0 && /^grew from 2 to 3/.test(line)) grown();
        },
      });
      come(1);
      await Promise.race([hasCome, running]);
      const address = await readInvitationFile(invitation);
      const quiet = { handleSignals: false, say: () => {} };
      await assert.rejects(
        joinLaunch(address, { ranks: 2, ...quiet }),
        /cannot join: .* offers 2 ranks, and the job has room for 1 more of 4/,
      );
      const prepare = () => {
        throw new Error("it has other data");
      };
      assert.deepEqual(await joinLaunch(address, { ranks: 1, ...quiet, prepare }), {
        code: 1,
        message: "cannot join: it has other data",
      });
      agents[leaves].kill(leaves ? "SIGINT" : "SIGKILL");
      const { code, failure, losses } = await running, told = JSON.stringify(lines, null, 1);
      assert.equal(code, 0, `${failure?.message}\n${told}`);
      assert.deepEqual(losses!.map(({ rank }) => rank).sort(), [lost, 3], told);
      // Of the two that a host brings either may be the first to wait at the door.
      const members = lines[0].at(-1)!.replace(/^.*: /, "").split(" ").map(Number);
      assert.deepEqual(members.toSorted(), [0, 3 - lost, 4, 5], told);
      for (const [place, rank] of members.entries()) {
        assert.equal(lines[rank].at(-1), `done as ${place} of 4: ${members.join(" ")}`, told);
      }
    }
    for (const [i, agent] of agents.entries()) {
      const { code, stderr } = await agent.output(), told = new TextDecoder().decode(stderr);
      if (i !== leaves) assert.equal(code, 0, told);
      else if (leaves) {
        assert.equal(code, 130);
        assert.match(told, /^celgc: left by SIGINT; the others go on$/m);
      }
    }
    assert.deepEqual(await survivors(pidsIn(lines.flat()), 10_000), [], "processes are left");
  });
}

Deno.test("more ranks than there may be are refused also before a job runs", async () => {
  await using folder = await temporaryFolder();
  const invitation = `${folder.path}/invitation`;
  await using on = await openWorld({
    ...{ ranks: 1, mostRanks: 3, invitation, handleSignals: false, say: () => {} },
  });
  const address = await readInvitationFile(invitation);
  await assert.rejects(
    joinLaunch(address, { ranks: 3, handleSignals: false, say: () => {} }),
    /offers 3 ranks, and the job has room for 2 more of 3/,
  );
  assert.equal(on.size, 1);
  await assert.rejects(
    openWorld({ ranks: 4, mostRanks: 3, handleSignals: false }),
    /the most ranks that there may be are at least the 4 that there are, not 3/,
  );
});

Deno.test("of two hosts that come at once where there is room for one, the other is told why", async () => {
  await using folder = await temporaryFolder();
  const invitation = `${folder.path}/invitation`, quiet = { handleSignals: false, say: () => {} };
  const refusal = await (async () => {
    await using on = await openWorld({ ...quiet, ranks: 1, mostRanks: 2, invitation });
    assert.equal(on.size, 1);
    const args = ["run", "-A", "--no-check", MAIN, "join", "--quiet", "--invitation", invitation];
    // Elsewhere, so that it is tried whether they can be reached.
    const stop = new AbortController(), env = { CELGC_HOST: "elsewhere" };
    const both = [1, 2].map(() =>
      denoCommand([...args, "--ranks", "1"], { env, signal: stop.signal }).output()
    );
    const refused = await Promise.race(both);
    stop.abort();
    await Promise.all(both);
    return endedAs(refused).stderr;
  })();
  assert.match(refusal, /the job has as many ranks as it may have, 2/);
});

Deno.test("who was invited and is interrupted before a job has begun only leaves", async () => {
  await using folder = await temporaryFolder();
  const invitation = `${folder.path}/invitation`, quiet = { handleSignals: false };
  const { promise: isInvited, resolve: say } = Promise.withResolvers<string>();
  const opening = openWorld({ ...quiet, ranks: 1, world: 2, mostRanks: 3, invitation, say });
  await Promise.race([isInvited, opening]);
  const stop = new AbortController(), address = await readInvitationFile(invitation);
  const joined = joinLaunch(address, { ...quiet, ranks: 1, say: () => {}, signal: stop.signal });
  await using _world = await opening;
  stop.abort();
  assert.deepEqual(await joined, { code: 143, message: "left by abort; the others go on" });
});

Deno.test("a host whose ranks cannot be started, or are lost for good, goes again, with the reason", async () => {
  await using folder = await temporaryFolder();
  const invitation = `${folder.path}/invitation`, logDir = `${folder.path}/logs`;
  const quiet = { handleSignals: false, say: () => {} }, stop = new AbortController();
  await Deno.mkdir(`${logDir}/rank-1.log`, { recursive: true }); // where its log is to be
  const said: string[] = [], say = (line: string) => void said.push(line);
  await using on = await openWorld({ ...quiet, say, ranks: 1, mostRanks: 2, invitation });
  const { promise: begun, resolve: begin } = Promise.withResolvers<string>();
  const running = launchProgram({
    ...{ ranks: 1, on, quiet: true, handleSignals: false, hostsLeave: true, logDir },
    ...{ program: program("failures/grows"), args: ["2@0,3@0", "9", "2"], allow: ["run", "ffi"] },
    respawn: ({ rank }) => rank === 2 ? 0 : null,
    signal: stop.signal,
    onOutput: (_, line) => begin(line),
  });
  await Promise.race([begun, running]);
  const address = await readInvitationFile(invitation);
  const ended = await joinLaunch(address, { ...quiet, ranks: 1 });
  assert.equal(ended.code, 1);
  assert.match(ended.message!, /^cannot join: Is a directory .*rank-1\.log/);
  const left = await joinLaunch(address, { ...quiet, ranks: 1 });
  assert.equal(left.code, 137, left.message!);
  assert.match(
    left.message!,
    /^this host has left: none of its ranks is left: rank 3 \(in the stead of rank 2\) on \S+ was ended by SIGKILL.*; the others go on$/,
  );
  assert.match(said.at(-1)!, /^\S+ has left: none of its ranks is left: rank 3/);
  stop.abort();
  assert.equal((await running).interrupted, "abort", "the job had not gone on");
});
