import assert from "node:assert/strict";
import { watchReport } from "../../../tasks/report/watch.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { position, writeRun } from "../run_folder.ts";

const step = (iteration: number) => ({
  type: "step",
  ...position(iteration, 4),
  loss: 1 / iteration,
  gradNorm: 1,
  clipped: false,
  stepMs: 1,
});

Deno.test("a served report sends what was appended, and nothing when nothing was", async () => {
  await using folder = await temporaryFolder();
  const run = await writeRun(folder.path, "run", {}, [step(1)]);
  await using server = await watchReport([folder.path], { title: "T" });
  assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+\/$/);
  const page = await (await fetch(server.url)).text();
  assert.match(page, /<body data-watch="2000">/);
  assert.match(page, /connect-src 'self'/);

  const ask = (version = "") =>
    fetch(`${server.url}data.json`, { headers: { "if-none-match": version } });
  const first = await ask();
  const version = first.headers.get("etag")!;
  assert.deepEqual((await first.json()).data.figures[0].series[0].y, [1]);
  assert.equal((await ask(version)).status, 304);

  await Deno.writeTextFile(`${run}/metrics.jsonl`, JSON.stringify(step(2)) + "\n", {
    append: true,
  });
  const second = await ask(version);
  assert.equal(second.status, 200);
  const { data, parts } = await second.json();
  assert.deepEqual(data.figures[0].series[0].y, [1, 0.5]);
  assert.match(parts.summary, /still going/);

  await writeRun(folder.path, "later", { lr: 2 }, [step(1)]);
  const third = await (await ask(second.headers.get("etag")!)).json();
  assert.equal(third.data.runs.length, 2, "a run that began later is found");
});

Deno.test("only its own address is answered, and only reading", async () => {
  await using folder = await temporaryFolder();
  await writeRun(folder.path, "run", {}, [step(1)]);
  await using server = await watchReport([folder.path], { title: "T" });
  const status = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(server.url + path, init);
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await status("", { method: "POST" }), 405);
  assert.equal(await status("../../etc/passwd"), 404);
  // A name that points at this machine: fetch would not send it, so it is written by hand.
  await using connection = await Deno.connect({
    port: +new URL(server.url).port,
    hostname: "127.0.0.1",
  });
  const request = "GET / HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: close\r\n\r\n";
  await connection.write(new TextEncoder().encode(request));
  const answer = new Uint8Array(64);
  await connection.read(answer);
  assert.match(new TextDecoder().decode(answer), /^HTTP\/1\.1 421/);
});

Deno.test("a port that is taken is named", async () => {
  await using folder = await temporaryFolder();
  await writeRun(folder.path, "run", {}, [step(1)]);
  await using first = await watchReport([folder.path], { title: "T" });
  const port = +new URL(first.url).port;
  await assert.rejects(
    watchReport([folder.path], { title: "T", port }),
    new RegExp(`port ${port}`),
  );
});

Deno.test("a folder in which no run has begun is waited for, one that is not there is not", async () => {
  await using folder = await temporaryFolder();
  await assert.rejects(
    watchReport([`${folder.path}/typo`], { title: "T" }),
    /typo: there is no such folder/,
  );
  // As a launch leaves it until its ranks have met.
  await Deno.mkdir(`${folder.path}/run`);
  await Deno.writeTextFile(`${folder.path}/run/config.json`, "{}");
  await using server = await watchReport([`${folder.path}/run`], { title: "T" });
  assert.match(await (await fetch(server.url)).text(), /Waiting for the first run to begin/);
  await writeRun(folder.path, "run", { lr: 1 }, [step(1)]);
  const { data, parts } = await (await fetch(`${server.url}data.json`)).json();
  assert.equal(data.runs.length, 1);
  assert.match(parts["state-of-runs"], /1 run, 1 still going/);
});

Deno.test("a run whose log grows no more has ended early, without another line in it", async () => {
  await using folder = await temporaryFolder();
  const run = await writeRun(folder.path, "run", {}, [step(1), step(2)]);
  await using server = await watchReport([run], { title: "T" });
  const ask = async (version = "") => {
    const headers = { "if-none-match": version };
    const response = await fetch(`${server.url}data.json`, { headers });
    return {
      status: response.status,
      version: response.headers.get("etag") ?? "",
      text: await response.text(),
    };
  };
  const first = await ask();
  assert.match(first.text, /still going/);
  const longAgo = new Date(Date.now() - 3_600_000);
  await Deno.utime(`${run}/metrics.jsonl`, longAgo, longAgo);
  const second = await ask(first.version);
  assert.equal(second.status, 200);
  assert.match(second.text, /ended early/);
  assert.doesNotMatch(second.text, /still going/);
});
