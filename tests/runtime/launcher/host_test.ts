/** What a host has or lacks: addresses, standard input, file descriptors, a folder for temporary files. */

import assert from "node:assert/strict";
import { pidsIn, program, run, survivors } from "../../_helpers/jobs.ts";

/** Addresses of this host that others may know it by; a link-local one with its interface. */
const outside = Deno.networkInterfaces().flatMap(({ family, address, scopeid, name }) => {
  if (address === "::1" || address.startsWith("127.")) return [];
  return [family === "IPv6" && scopeid ? `${address}%${name}` : address];
});

for (const listen of ["0.0.0.0", "::", "localhost", "::1", ...outside]) {
  Deno.test(`ranks find each other on ${listen}`, async () => {
    const { code, failure, lines } = await run({
      ranks: 2,
      program: new URL("../../examples/hello.ts", import.meta.url),
      listen,
      transport: "tcp",
    });
    assert.equal(code, 0, failure?.message ?? "no failure was told");
    assert.equal(lines[1].at(-1), "hello from rank 1 of 2");
  });
}

for (
  const [stdin, read] of [
    [undefined, ["", ""]],
    ["none", ["", ""]],
    ["rank0", ["a\nb", ""]],
    ["all", ["a\nb", "a\nb"]],
  ] as const
) {
  Deno.test(`standard input: ${stdin ?? "none unless said"}`, async () => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", program("launching/launcher").href, "2", program("ends").href, "reads"],
      env: stdin === undefined ? {} : { RANK_STDIN: stdin },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("a\nb"));
    // Where nobody reads it, the launcher does not wait for its end.
    if (stdin !== undefined && stdin !== "none") await writer.close();
    const { code, stdout } = await child.output();
    assert.equal(code, 0);
    const lines = new TextDecoder().decode(stdout).split("\n").filter((line) =>
      / read /.test(line)
    );
    assert.deepEqual(
      lines.sort(),
      read.map((text, rank) => `[${rank}] read ${JSON.stringify(text)}`),
    );
    await writer.abort().catch(() => {});
  });
}

Deno.test("more standard input than anybody reads at once arrives whole", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", program("launching/launcher").href, "2", program("ends").href, "reads"],
    env: { RANK_STDIN: "all" },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const text = "x".repeat(1_000_000), writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { code, stdout } = await child.output();
  assert.equal(code, 0);
  assert.equal(new TextDecoder().decode(stdout).match(/x/g)?.length, 2 * text.length);
});

Deno.test("standard input that one job has read to its end is at its end for the next", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", program("launching/launcher").href, "1", program("ends").href, "reads"],
    env: { RANK_STDIN: "rank0", JOBS: "2" },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const late = setTimeout(() => child.kill("SIGTERM"), 30_000);
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("a"));
  await writer.close();
  const { code, stdout } = await child.output();
  clearTimeout(late);
  assert.equal(code, 0);
  const read = new TextDecoder().decode(stdout).match(/read .*/g);
  assert.deepEqual(read, ['read "a"', 'read ""']);
});

Deno.test("too few file descriptors: the launcher names the limit, and leaves no rank", async () => {
  const command = [Deno.execPath(), "run -A --no-check", program("launching/launcher").href, "30"];
  const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
    args: ["-c", `ulimit -n 64; exec ${command.join(" ")} ${program("ends").href} idle`],
  }).output();
  assert.equal(code, 1);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.match(
    text(stderr),
    /RangeError: cannot launch: rank \d+ cannot be started: .*Too many open files/,
  );
  if (Deno.build.os === "linux") assert.match(text(stderr), /ulimit -n, here 64/);
  assert.deepEqual(await survivors(pidsIn(text(stdout).split("\n")), 5000), []);
});

for (const tmp of ["/no/such/folder", "täö,ü", "ä".repeat(60)]) {
  Deno.test(`ranks find each other where TMPDIR is ${tmp.slice(0, 20)}`, async () => {
    await using directory = await temporary();
    const folder = tmp.startsWith("/") ? tmp : `${directory.path}/${tmp}`;
    if (!tmp.startsWith("/")) await Deno.mkdir(folder);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", program("launching/launcher").href, "2", program("ends").href, "forget"],
      env: { TMPDIR: folder },
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.equal(pidsIn(new TextDecoder().decode(stdout).split("\n")).length, 2);
  });
}

async function temporary() {
  const path = await Deno.realPath(await Deno.makeTempDir({ prefix: "celgc-test-" }));
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test("more ranks than each can have connections to are refused before any is started", async () => {
  const command = [Deno.execPath(), "run -A --no-check", program("launching/launcher").href, "128"];
  const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
    args: ["-c", `ulimit -n 128; exec ${command.join(" ")} ${program("ends").href} idle`],
  }).output();
  if (Deno.build.os !== "linux") return;
  assert.equal(code, 1);
  assert.match(
    new TextDecoder().decode(stderr),
    /RangeError: cannot launch: each of 128 ranks needs 154 file descriptors, .* may have 128: raise their limit \(ulimit -n\) or start 102 ranks at most/,
  );
  assert.deepEqual(pidsIn(new TextDecoder().decode(stdout).split("\n")), []);
});

Deno.test({
  name: "a rank of another launcher says that it may not have enough connections",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const place = "RANK=1 WORLD_SIZE=128 LOCAL_RANK=1 MASTER_ADDR=127.0.0.1 MASTER_PORT=29731";
    const { code, stderr } = await new Deno.Command("/bin/sh", {
      args: [
        "-c",
        `ulimit -n 128; exec env ${place} ${Deno.execPath()} run -A ${
          new URL("../../examples/hello.ts", import.meta.url).href
        }`,
      ],
    }).output();
    assert.notEqual(code, 0);
    assert.match(
      new TextDecoder().decode(stderr),
      /rank 1 cannot join: each of 128 ranks needs 154 file descriptors/,
    );
  },
});
