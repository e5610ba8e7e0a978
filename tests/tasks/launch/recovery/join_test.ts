/** A host comes to a run that goes on. */

import assert from "node:assert/strict";
import { HostPreparation, type RunDetails } from "../../../../tasks/launch/host_preparation.ts";
import { launch, type LaunchOptions } from "../../../../tasks/launch/launch.ts";
import type { MetricRecord } from "../../../../tasks/logs/records.ts";
import { denoCommand, ROOT } from "../../../_helpers/deno.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";

const MAIN = new URL("tasks/cli/main.ts", ROOT).href;

Deno.test({
  name: "a host joins a run that goes on, and a replay has the same bits",
  async fn() {
    await using resources = new AsyncDisposableStack();
    const folder = resources.use(await temporaryFolder()), out = `${folder.path}/run`;
    const invitation = `${folder.path}/invitation`, host = `host-${crypto.randomUUID()}`;
    /** Who was in each round, in its order; a row of equal ones is one. */
    const crews: string[] = [];
    const onRecord = (record: MetricRecord) => {
      if (record.type !== "round") return;
      const crew = record.participants.join(" ");
      if (crew !== crews.at(-1)) crews.push(crew);
    };
    const given: LaunchOptions = {
      ...{ ranks: 2, interval: 2, maxSteps: 50, epochs: 100, evalEvery: 1000 },
      ...{ trainSize: 150, testSize: 20, device: "cpu", momentum: 0.9, batchSize: 4 },
      ...{ elastic: "1..3", maxRestarts: 0, link: "100mbit,5ms", compress: "int8" },
    };
    const running = launch({ ...given, out, invitation, onRecord });
    running.catch(() => {});
    // It is there once the launcher listens; ranks come then, too, and do not wait.
    while (!await Deno.stat(invitation).then(({ size }) => size > 0, () => false)) {
      await Promise.race([running, new Promise((wake) => setTimeout(wake, 20))]);
    }
    const agent = resources.use(
      denoCommand([
        ...["run", "-A", "--no-check", MAIN, "join", "--ranks", "1"],
        ...["--invitation", invitation, "--out", `${folder.path}/kept`],
      ], { env: { CELGC_HOST: host } }).spawn(),
    );
    const { summary } = await running;
    const { code, stderr } = await agent.output(), said = new TextDecoder().decode(stderr);
    assert.equal(code, 0, said);
    assert.match(said, /the run goes on already: it lets this host's ranks in after a round/);
    assert.deepEqual(crews, ["0 1", "0 1 2"], said);
    const members = summary.membership?.map(({ members = [0, 1] }) => members.join(" "));
    assert.deepEqual(members, crews, JSON.stringify(summary.membership));
    assert.deepEqual(summary.hosts?.map(({ ranks }) => ranks), [[0, 1], [2]]);
    assert.equal(summary.hosts?.[1].name, host);
    const again = await launch({ replay: out, out: `${folder.path}/again`, link: null });
    assert.equal(again.summary.weightsHash, summary.weightsHash);
  },
});

Deno.test("a host cannot come to a run whose data was sent when it began", async () => {
  await using preparation = new HostPreparation({ say: () => {} });
  const details: RunDetails = {
    ...{
      kind: "celgc run",
      run: "r",
      directory: "",
      from: null,
      device: "cpu",
      env: {},
      allow: [],
    },
    ...{
      task: "cifar10",
      data: { folder: "", files: [] },
      sendsData: true,
      keepsCheckpoints: false,
    },
  };
  const place = { first: 3, count: 1, comes: true, before: 0, size: 2, host: "b" };
  await assert.rejects(
    async () => await preparation.prepare(details, place),
    /host b comes to a run that goes on, whose data was sent when it began \(--send-data\)/,
  );
});
