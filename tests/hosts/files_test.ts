/** The files to start from in docs/launchers: read by those whom they are for. */

import assert from "node:assert/strict";
import { ROOT } from "../_helpers/deno.ts";
import { hasTool } from "./_hosts.ts";
import { temporaryFolder } from "../_helpers/temporary_folder.ts";
import { containerEnvironment, indexedJob, noIndexedJob } from "./_indexed_job.ts";

const file = (name: string) => new URL(`docs/launchers/${name}`, ROOT).pathname;

async function run(command: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" })
    .output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test({
  name: `indexed_job.yaml holds together${noIndexedJob ? ` (skipped: ${noIndexedJob})` : ""}`,
  ignore: indexedJob === null,
  fn() {
    const { service, job } = indexedJob!;
    assert.deepEqual([service.apiVersion, service.kind], ["v1", "Service"]);
    assert.equal(service.spec.clusterIP, "None");
    assert.equal(service.spec.publishNotReadyAddresses, true);
    assert.deepEqual(service.spec.selector, { "job-name": job.metadata.name });
    assert.deepEqual([job.apiVersion, job.kind], ["batch/v1", "Job"]);
    const { completionMode, completions, parallelism, backoffLimit, template } = job.spec;
    assert.deepEqual([completionMode, backoffLimit], ["Indexed", 0]);
    assert.equal(parallelism, completions, "all pods run at once");
    const pod = template.spec, [container] = pod.containers;
    assert.equal(pod.restartPolicy, "Never");
    assert.equal(pod.subdomain, service.metadata.name);
    const env = containerEnvironment();
    for (const value of Object.values(env)) assert.equal(typeof value, "string");
    assert.equal(env.CELGC_SIZE, String(completions));
    const [port] = service.spec.ports;
    assert.equal(
      env.CELGC_RENDEZVOUS,
      `${job.metadata.name}-0.${service.metadata.name}:${port.port}`,
    );
    const mounts = new Map<string, string>(
      container.volumeMounts.map((m: Record<string, string>) => [m.name, m.mountPath]),
    );
    for (const { name } of pod.volumes) assert.ok(mounts.has(name), name);
    const { secret } = pod.volumes.find((volume: { secret?: unknown }) => volume.secret);
    assert.equal(secret.defaultMode, 0o400, "nobody else may read it");
    assert.equal(env.CELGC_SECRET_FILE, `${mounts.get("secret")}/secret`);
  },
});

const hasSystemd = await hasTool("systemd-analyze");

Deno.test({
  name: `systemd finds nothing wrong with its units${
    hasSystemd ? "" : " (skipped: no systemd-analyze)"
  }`,
  ignore: !hasSystemd,
  async fn() {
    await using folder = await temporaryFolder();
    const units = ["celgc-join.service", "celgc-join.path"];
    for (const name of units) {
      const text = await Deno.readTextFile(file(name));
      // It looks for the program.
      const here = text.replace("/usr/local/bin/deno", Deno.execPath());
      await Deno.writeTextFile(`${folder.path}/${name}`, here);
    }
    const paths = units.map((name) => `${folder.path}/${name}`);
    const { code, stderr } = await run("systemd-analyze", "verify", ...paths);
    assert.deepEqual([code, stderr], [0, ""]);
  },
});
