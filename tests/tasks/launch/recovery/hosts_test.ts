/** A run on several hosts loses a rank of another host than its launcher's, and has it back. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { launch, type LaunchOptions } from "../../../../tasks/launch/launch.ts";
import type { MetricRecord } from "../../../../tasks/logs/records.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";

const MAIN = fileURLToPath(new URL("../../../../tasks/cli/main.ts", import.meta.url));

/** Kills the processes of ranks on a host that only a test has. */
function killRanks(host: string): void {
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const environment = Deno.readTextFileSync(`/proc/${name}/environ`).split("\0");
      const isRank = environment.some((each) => each.startsWith("CELGC_RANK="));
      if (isRank && environment.includes(`CELGC_HOST=${host}`)) Deno.kill(Number(name), "SIGKILL");
    } catch {
      // It has ended, or is another's.
    }
  }
}

Deno.test({
  name:
    "a rank of another host is lost, comes back there, and is lost for good; a replay has the same bits",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using resources = new AsyncDisposableStack();
    const folder = resources.use(await temporaryFolder()), out = `${folder.path}/run`;
    const invitation = `${folder.path}/invitation`, id = crypto.randomUUID().slice(0, 8);
    const hosts = [1, 2].map((host) => `host-${host}-${id}`);
    /** Who was in each round, in its order; a row of equal ones is one. */
    const crews: string[] = [];
    const onRecord = (record: MetricRecord) => {
      if (record.type !== "round") return;
      const crew = record.participants.join(" ");
      if (crew === crews.at(-1)) return;
      crews.push(crew);
      // The first time all are there, and when they are again.
      if (crews.length === 1 || crews.length === 3) killRanks(hosts[0]);
    };
    const given: LaunchOptions = {
      ...{ ranks: 1, world: 3, interval: 2, maxSteps: 80, epochs: 100, evalEvery: 1000 },
      ...{ trainSize: 150, testSize: 20, device: "cpu", momentum: 0.9, batchSize: 4 },
      ...{ elastic: "1..3", maxRestarts: 1, link: "100mbit,20ms", compress: "int8" },
    };
    const running = launch({ ...given, out, invitation, onRecord });
    running.catch(() => {});
    // It is there once the launcher listens.
    while (!await Deno.stat(invitation).then(({ size }) => size > 0, () => false)) {
      await Promise.race([running, new Promise((wake) => setTimeout(wake, 20))]);
    }
    const agents = hosts.map((host) =>
      resources.use(
        new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--no-check", MAIN, "join", "--quiet", "--ranks", "1"]
            .concat("--invitation", invitation, "--out", `${folder.path}/${host}`),
          env: { CELGC_HOST: host },
          stdout: "null",
          stderr: "null",
        }).spawn(),
      )
    );
    const { summary } = await running;
    const members = summary.membership?.map(({ members = [0, 1, 2] }) => members.join(" "));
    // Which of the two hosts came first is a matter of chance.
    const lost = summary.membership?.[1].lost?.[0].rank, other = lost === 1 ? 2 : 1;
    const both = `0 ${other}`, all = `${both} ${lost}`;
    assert.deepEqual(members, ["0 1 2", both, all, both], JSON.stringify(summary.membership));
    assert.deepEqual(summary.hosts?.map(({ ranks }) => ranks), [[0], [1]]);
    const codes = await Promise.all(agents.map(async ({ status }) => (await status).code));
    // The launcher whose rank was lost for good has ended as that did; the other one with the run.
    assert.deepEqual(codes, [137, 0]);
    const again = await launch({ replay: out, out: `${folder.path}/again`, link: null });
    assert.equal(again.summary.weightsHash, summary.weightsHash);
  },
});
