/** An agent's ranks, with no coordinator behind it. */

import assert from "node:assert/strict";
import { AgentJob, type Prepare } from "../../../runtime/agents/agent_job.ts";
import type { AgentChannel } from "../../../runtime/agents/channel.ts";
import type { AgentMessage, CoordinatorMessage } from "../../../runtime/agents/messages.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const ECHO = `data:text/javascript,${
  encodeURIComponent("await Deno.stdin.readable.pipeTo(Deno.stdout.writable);")
}`;

/** A job of one rank that prints what it reads, and what its agent has said of it. */
function begin(prepare: Prepare) {
  const sent: AgentMessage[] = [];
  const channel = {
    send: (message: AgentMessage) => Promise.resolve(void sent.push(message)),
  } as unknown as AgentChannel<CoordinatorMessage>;
  const job = new AgentJob({
    ...{ type: "start", job: 1, size: 1, first: 0, count: 1, comes: false, before: 0 },
    ...{ program: { kind: "url", value: ECHO }, hash: null, args: [], env: {}, allow: [] },
    ...{ timeout: 60, joinTimeout: 60, transport: "tcp", link: null, connections: 1 },
    ...{ onFailure: "abort", stdin: [0], host: "here", launcher: null, sockets: null },
    ...{ peers: null, details: null },
  }, {
    ...{ channel, name: "job", secret: "00".repeat(32), addresses: ["127.0.0.1"], tls: null },
    ...{ rendezvous: { hostname: "127.0.0.1", port: 1 }, gateway: null, dialsOut: false },
    sockets: "/no/such/folder",
    prepare,
  });
  return { job, sent };
}

Deno.test("input that comes while a rank is still being started reaches it, in its order, and is said to be taken", async () => {
  const ready = Promise.withResolvers<void>(), { job, sent } = begin(() => ready.promise);
  for (const text of ["early ", "input", ""]) {
    const bytes = new TextEncoder().encode(text).toBase64();
    job.take({ type: "input", job: 1, rank: 0, stream: "stdout", bytes });
  }
  ready.resolve();
  const late = setTimeout(() => job.end(0), 60_000); // it would wait for its input
  assert.equal(await job.done, null);
  clearTimeout(late);
  const printed = sent.flatMap((message) =>
    message.type === "output" && message.stream === "stdout" ? [message.bytes] : []
  );
  const text = printed.map((bytes) => new TextDecoder().decode(Uint8Array.fromBase64(bytes)));
  assert.equal(text.join(""), "early input");
  const taken = sent.flatMap((message) => message.type === "taken" ? [message.count] : []);
  assert.equal(taken.reduce((sum, count) => sum + count, 0), "early input".length);
  const exit = sent.find((message) => message.type === "exit");
  assert.deepEqual(exit, { type: "exit", job: 1, rank: 0, code: 0, signal: null });
});

Deno.test({
  name: "a rank that cannot be started leaves no log open",
  sanitizeOps: true,
  sanitizeResources: true,
  async fn() {
    await using folder = await temporaryFolder();
    const { job, sent } = begin(() => ({ cwd: "/no/such/folder", logDir: folder.path }));
    assert.match((await job.done)!, /^rank 0 cannot be started: /);
    assert.deepEqual(sent.map(({ type }) => type), ["failed"]);
  },
});
