/** Runs of two launchers, of which the second has no folder of the run. */

import assert from "node:assert/strict";
import { loadPng } from "../../../deps.ts";
import { launch, type LaunchOptions, RunFailedError } from "../../../tasks/launch/launch.ts";
import { HostPreparation } from "../../../tasks/launch/host_preparation.ts";
import { plan } from "../../../tasks/plan/plan.ts";
import { sweep } from "../../../tasks/sweep/sweep.ts";
import { joinLaunch } from "../../../runtime/launcher/across_hosts.ts";
import { readInvitationFile } from "../../../runtime/agents/invitation.ts";
import { VERSION } from "../../../tasks/run/version.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const SMALL = {
  interval: 2,
  maxSteps: 4,
  trainSize: 100,
  testSize: 20,
  device: "cpu",
} as const satisfies LaunchOptions;

/** One rank here and one that joins: what became of both. */
async function joinedBy<T>(
  begin: (world: { ranks: number; world: number; invitation: string }) => Promise<T>,
  folder: string,
  data?: string,
) {
  const invitation = `${folder}/${crypto.randomUUID()}`;
  await using preparation = new HostPreparation({ data, out: `${folder}/other`, say: () => {} });
  const { prepare } = preparation;
  const joined = (async () => {
    for (let tries = 0; tries < 300; tries++) {
      if (await Deno.stat(invitation).then(({ size }) => size > 0, () => false)) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const found = await readInvitationFile(invitation);
    return await joinLaunch(found, { ranks: 1, version: VERSION, prepare, say: () => {} });
  })();
  return await Promise.allSettled([begin({ ranks: 1, world: 2, invitation }), joined]);
}

/** Launches with one rank here and one that joins. */
async function together(options: LaunchOptions, folder: string, data?: string) {
  const [run, agent] = await joinedBy(
    (world) => launch({ ...options, ...world }),
    folder,
    data,
  );
  if (run.status === "rejected") {
    assert.equal(agent.status === "fulfilled" && agent.value.code, 1, "the other host is told");
    throw run.reason;
  }
  assert.equal(agent.status === "fulfilled" && agent.value.code, 0);
  return run.value;
}

Deno.test("two launchers come to the weights of one, and go on as one, wherever parts are kept", async () => {
  await using folder = await temporaryFolder();
  const alone = await launch({ ...SMALL, ranks: 2, maxSteps: 8, out: `${folder.path}/alone` });
  assert.equal(alone.summary.hosts, undefined);
  for (const checkpointLocal of [false, true]) {
    const out = `${folder.path}/run-${checkpointLocal}`;
    const begun = { ...SMALL, out, checkpointEvery: 4, checkpointLocal };
    const { summary } = await together(begun, folder.path);
    // One host, so nothing passes between hosts; still each launcher is told from the other.
    const names = summary.hosts!.map(({ name, launcher, ranks }) => ({ name, launcher, ranks }));
    const name = Deno.hostname();
    assert.deepEqual(names, [{ name, launcher: 0, ranks: [0] }, { name, launcher: 1, ranks: [1] }]);
    assert.equal(summary.bytesBetweenHosts, undefined);
    if (!checkpointLocal) {
      const resumed = await launch({ resume: out, maxSteps: 8 });
      assert.equal(resumed.summary.weightsHash, alone.summary.weightsHash);
      continue;
    }
    const resumed = await together({ resume: out, maxSteps: 8 }, folder.path);
    assert.equal(resumed.summary.weightsHash, alone.summary.weightsHash);
    assert.equal(resumed.config.options.ranks, 2);
  }
});

Deno.test("the data of a host that joins is compared with rank 0's, or sent", async () => {
  await using folder = await temporaryFolder();
  const [mine, theirs] = [`${folder.path}/mine`, `${folder.path}/theirs`];
  for (const data of [mine, theirs]) {
    await Deno.mkdir(data);
    for (const split of ["train", "valid", "test"]) {
      const lines = Array.from({ length: 300 }, (_, i) => `the cat ${i} sat on the mat`);
      await Deno.writeTextFile(`${data}/${split}.txt`, lines.join("\n"));
    }
  }
  const text: LaunchOptions = {
    ...{ task: "ptb", data: mine, layers: 1, hidden: 8, embedding: 8, batchSize: 2, bptt: 5 },
    ...{ evalTokens: 20, testColumns: 1, maxSteps: 1, device: "cpu" },
  };
  await together({ ...text, out: `${folder.path}/same` }, folder.path, theirs);
  await Deno.writeTextFile(`${theirs}/valid.txt`, "other words\n");
  const out = `${folder.path}/other-data`;
  await assert.rejects(together({ ...text, out }, folder.path, theirs), (error) => {
    assert.ok(error instanceof RunFailedError, `${error}`);
    assert.match(error.message, /has other data than rank 0: in .*theirs valid\.txt has 12 bytes/);
    return true;
  });
  await together({ ...text, out: `${folder.path}/sent`, sendData: true }, folder.path);
});

/** Six pictures of each of two classes. */
async function writePictures(folder: string): Promise<void> {
  const { encode } = await loadPng();
  for (const name of ["cat", "dog"]) {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
    for (let i = 0; i < 6; i++) {
      const data = new Uint8Array(3 * 64).fill(20 * i + name.length);
      const file = encode({ width: 8, height: 8, channels: 3, data });
      await Deno.writeFile(`${folder}/${name}/${i}.png`, file);
    }
  }
}

Deno.test("images in their folders are compared, and sent with their folders", async () => {
  await using folder = await temporaryFolder();
  const [mine, theirs] = [`${folder.path}/mine`, `${folder.path}/theirs`];
  for (const data of [mine, theirs]) await writePictures(data);
  const images: LaunchOptions = {
    ...{ task: "images", data: mine, imageSize: 8, batchSize: 2, maxSteps: 1, device: "cpu" },
  };
  await Deno.remove(`${theirs}/dog/3.png`);
  const out = `${folder.path}/other-data`;
  await assert.rejects(together({ ...images, out }, folder.path, theirs), (error) => {
    assert.ok(error instanceof RunFailedError, `${error}`);
    assert.match(error.message, /has other data than rank 0: in .*theirs there is no dog\/3\.png/);
    return true;
  });
  await together({ ...images, out: `${folder.path}/sent`, sendData: true }, folder.path);
});

Deno.test("a host that has joined is told why a run could not begin", async () => {
  await using folder = await temporaryFolder();
  const data = `${folder.path}/empty`;
  await Deno.mkdir(data);
  const images: LaunchOptions = { task: "images", data, maxSteps: 1, device: "cpu" };
  const message = /cannot read the images in .*empty: .*; found none/;
  await assert.rejects(together({ ...images, out: `${folder.path}/run` }, folder.path), {
    message,
  });
});

Deno.test("a host that has joined is told, too, of a file that is gone when all are compared", async () => {
  await using folder = await temporaryFolder();
  const data = `${folder.path}/mine`;
  await writePictures(data);
  await Deno.symlink(`${folder.path}/nowhere.png`, `${data}/cat/lost.png`);
  const images: LaunchOptions = {
    ...{ task: "images", data, imageSize: 8, batchSize: 2, maxSteps: 1, device: "cpu" },
  };
  await assert.rejects(together({ ...images, out: `${folder.path}/run` }, folder.path), {
    name: "NotFound",
  });
});

Deno.test("a host that has joined a plan or a sweep is told that it could not begin", async () => {
  await using folder = await temporaryFolder();
  const data = `${folder.path}/empty`, out = `${folder.path}/file`;
  await Deno.mkdir(data);
  await Deno.writeTextFile(out, "");
  for (
    const [message, begin] of [
      [/cannot read the images/, (world) => plan({ ...world, task: "images", data })],
      [/--out must be a folder/, (world) => sweep({ ...world, interval: [1, 2], out })],
    ] as [RegExp, Parameters<typeof joinedBy>[0]][]
  ) {
    const [run, agent] = await joinedBy(begin, folder.path);
    assert.match(run.status === "rejected" ? String(run.reason) : "", message);
    assert.equal(agent.status === "fulfilled" && agent.value.code, 1, String(message));
  }
});

Deno.test("what does not fit all ranks is refused before anybody waits for a host", async () => {
  await using folder = await temporaryFolder();
  const files = ["cert", "key", "ca"].map((name) => `${folder.path}/${name}`);
  const [tlsCert, tlsKey, tlsCa] = files, world = { ranks: 1, world: 2 };
  const cases: [LaunchOptions, RegExp][] = [
    [{ ranks: 4, world: 2 }, /--world has all ranks, at least the 4 .* not 2/],
    [{ ...world, participants: 3 }, /--participants must be at most --ranks, 2, not 3/],
    [
      { ...world, partition: "proportional:20,30,50" },
      /one percentage for each of 2 ranks is required, found 3/,
    ],
    [{ ...world, tlsCert, tlsKey, tlsCa }, /--tls-cert is for ranks of this host: .* leave/],
    [{ ...world, transport: "mpi" }, /cannot launch ranks that talk over mpi: .*mpirun -n 4/],
    [{ hosts: "localhost:4", world: 2, participants: 3 }, /at most --ranks, 2, not 3/],
    [
      { hosts: "host-x:2,host-y:2" },
      /--hosts does not name this host, and a run's folder is where/,
    ],
  ];
  for (const [options, message] of cases) {
    const out = `${folder.path}/run`;
    await assert.rejects(launch({ ...SMALL, ...options, out }), { name: "OptionError", message });
  }
  assert.deepEqual([...Deno.readDirSync(folder.path)], [], "nothing has been written");
  await Deno.writeTextFile(`${folder.path}/config.json`, "{}");
  const full = { ...SMALL, ...world, out: folder.path };
  await assert.rejects(launch(full), { name: "OptionError", message: /holds a run already/ });
});

Deno.test("hosts learn a text of one's own from the same file, or from what they are sent", async () => {
  await using folder = await temporaryFolder();
  const [data, theirs] = ["mine", "theirs"].map((name) => `${folder.path}/${name}/text`);
  for (const path of [data, theirs]) {
    await Deno.mkdir(path.replace("/text", ""));
    await Deno.writeTextFile(path, "a text of words\n".repeat(90));
  }
  const text: LaunchOptions = {
    ...{ task: "text", data, tokenizer: "bpe:260", layers: 1, heads: 1, width: 4, context: 8 },
    ...{ batchSize: 2, maxSteps: 2, device: "cpu" },
  };
  await together({ ...text, out: `${folder.path}/seen` }, folder.path);
  await together({ ...text, out: `${folder.path}/same` }, folder.path, theirs);
  await together({ ...text, out: `${folder.path}/sent`, sendData: true }, folder.path);
});

Deno.test("a host that has joined a sweep ends as the sweep does, not as its last cell", async () => {
  await using folder = await temporaryFolder();
  const { interval: _, ...small } = SMALL;
  // The first diverges, the second does not.
  const given = { ...small, lr: [1e30, 0.1], clip: 1e30, out: `${folder.path}/sweep` };
  const [run, agent] = await joinedBy((world) => sweep({ ...given, ...world }), folder.path);
  assert.ok(run.status === "fulfilled" && agent.status === "fulfilled");
  assert.deepEqual(run.value.cells.map(({ status }) => status), ["failed", "finished"]);
  assert.equal(agent.value.code, 1);
});
