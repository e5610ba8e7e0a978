import assert from "node:assert/strict";
import { rankFlags, type RankNeeds } from "../../../runtime/launcher/permissions.ts";

const NEEDS: RankNeeds = {
  program: new URL("file:///home/user/program.ts"),
  hosts: ["127.0.0.1"],
  sockets: null,
  variables: [],
  files: [],
  modules: [new URL("file:///lib/preload.ts")],
  flags: [],
};

Deno.test("a rank may talk to the ranks, read the job's variables, and nothing else", () => {
  assert.deepEqual(rankFlags(NEEDS), [
    "--no-prompt",
    "--allow-net=127.0.0.1",
    "--allow-env=CELGC_*",
  ]);
});

Deno.test("what the job needs and what the caller allows become one list each", () => {
  const flags = rankFlags({
    ...NEEDS,
    hosts: ["::1"],
    sockets: { directory: "/tmp/a,b", paths: ["/tmp/a,b/0"] },
    variables: ["SEED"],
    files: ["/etc/ca.pem"],
    flags: ["--allow-read=data,more", "-W=out", "--allow-net=example.org", "--v8-flags=--foo"],
  });
  assert.deepEqual(flags, [
    "--no-prompt",
    "--v8-flags=--foo",
    "--allow-net=[::1],unix:/tmp/a,,b/0,example.org",
    "--allow-env=CELGC_*,SEED",
    "--allow-read=/etc/ca.pem,/tmp/a,,b,data,more",
    "--allow-write=/tmp/a,,b,out",
  ]);
});

Deno.test("a permission without a list, and all permissions, swallow the lists", () => {
  assert(rankFlags({ ...NEEDS, flags: ["--allow-net"] }).includes("--allow-net"));
  assert.deepEqual(rankFlags({ ...NEEDS, flags: ["-A", "--allow-read=x"] }), [
    "--no-prompt",
    "--allow-all",
  ]);
});

Deno.test("modules may be imported from the hosts of the program and of the runtime alone", () => {
  const flags = rankFlags({
    ...NEEDS,
    program: new URL("https://example.org/program.ts"),
    modules: [new URL("http://127.0.0.1:8000/preload.ts")],
  });
  assert(flags.includes("--allow-import=example.org:443,127.0.0.1:8000"));
});
