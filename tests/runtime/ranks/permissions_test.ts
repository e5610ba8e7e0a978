import assert from "node:assert/strict";
import { rankFlags, type RankNeeds } from "../../../runtime/ranks/permissions.ts";

const NEEDS: RankNeeds = {
  program: new URL("file:///home/user/program.ts"),
  hosts: ["127.0.0.1"],
  sockets: null,
  variables: [],
  files: [],
  modules: [new URL("file:///lib/preload.ts")],
  allow: [],
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
    sockets: { directory: "/tmp/ab", paths: ["/tmp/ab/0"] },
    variables: ["SEED"],
    files: ["/etc/ca.pem"],
    allow: ["read=data,more", "write=out", "net=example.org"],
  });
  assert.deepEqual(flags, [
    "--no-prompt",
    "--allow-net=[::1],unix:/tmp/ab/0,example.org",
    "--allow-env=CELGC_*,SEED",
    "--allow-read=/etc/ca.pem,/tmp/ab,data,more",
    "--allow-write=/tmp/ab,out",
  ]);
});

Deno.test("a permission without a list, and all permissions, swallow the lists", () => {
  assert(rankFlags({ ...NEEDS, allow: ["net"] }).includes("--allow-net"));
  assert.deepEqual(rankFlags({ ...NEEDS, allow: ["all", "read=x"] }), [
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

Deno.test("a path with a comma is allowed through the nearest folder that Deno's lists can hold", () => {
  const flags = (...allow: string[]) => rankFlags({ ...NEEDS, allow }).slice(3);
  assert.deepEqual(flags("read=/runs/I=1,,4/a,/data"), ["--allow-read=/runs,/data"]);
  assert.deepEqual(flags("write=runs/a,,b/c,,d"), ["--allow-write=runs"]);
  assert.deepEqual(flags("write=a,,b"), ["--allow-write=."]);
  assert.throws(() => flags("read=/a,,b"), /cannot allow read for "\/a,b": .*no folder above it/);
  assert.throws(() => flags("run=a,,b"), /cannot allow run for "a,b"/);
});

Deno.test("what is no permission is refused", () => {
  for (const allow of ["", "everything", "--allow-read", "read=", "-A", "Read=x"]) {
    assert.throws(
      () => rankFlags({ ...NEEDS, allow: [allow] }),
      /^RangeError: a permission is one of/,
    );
  }
});
