/** The file by which ranks without a launcher find each other: what is written, trusted and believed. */

import assert from "node:assert/strict";
import { RendezvousError } from "../../../runtime/base/errors.ts";
import {
  parseRecord,
  readRendezvousText,
  type RendezvousRecord,
  writeRendezvousFile,
} from "../../../runtime/rendezvous/rendezvous_file.ts";

const NOTE: RendezvousRecord = { hostname: "node1", port: 4000, secret: "0f".repeat(32) };

/** What is in the file, at once. */
const readRecord = async (path: string) => parseRecord(path, await readRendezvousText(path, 0));

/** Calls with a path in an empty folder. */
async function withPath(run: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(`${folder}/record`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a record replaces an older one and is removed by its writer alone", () =>
  withPath(async (path) => {
    const removeOld = await writeRendezvousFile(path, { ...NOTE, port: 1 });
    const remove = await writeRendezvousFile(path, NOTE);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    removeOld();
    assert.deepEqual(await readRecord(path), NOTE);
    remove();
    remove();
    await assert.rejects(readRecord(path), {
      name: "RendezvousError",
      message: /CELGC_JOB/,
    });
  }));

for (
  const [what, text] of [
    ["no JSON", `${NOTE.secret} {`],
    ["no object", "null"],
    ["a host that is none", JSON.stringify({ ...NOTE, hostname: "a b" })],
    ["no port", JSON.stringify({ ...NOTE, port: "4000" })],
    ["a port that is none", JSON.stringify({ ...NOTE, port: 65536 })],
    ["a secret with a slip in it", JSON.stringify({ ...NOTE, secret: `x${NOTE.secret.slice(1)}` })],
    ["far too much", JSON.stringify({ ...NOTE, more: " ".repeat(10_000) })],
  ]
) {
  Deno.test(`a record with ${what} is refused, and not shown`, () =>
    withPath(async (path) => {
      await Deno.writeTextFile(path, text, { mode: 0o600 });
      await assert.rejects(readRecord(path), (error) => {
        assert(error instanceof RendezvousError);
        assert.match(
          error.message,
          /cannot read .*record: it must have a host, a port and a secret/,
        );
        assert(!error.message.includes(NOTE.secret.slice(1)));
        assert.equal(error.cause, undefined);
        return true;
      });
    }));
}

Deno.test("a link, a folder and a file that others can read are not trusted", () =>
  withPath(async (path) => {
    const refused = () =>
      assert.rejects(readRecord(path), {
        name: "RendezvousError",
        message: /cannot trust/,
      });
    await Deno.writeTextFile(`${path}.aside`, JSON.stringify(NOTE), { mode: 0o600 });
    await Deno.symlink(`${path}.aside`, path);
    await refused();
    await Deno.remove(path);
    await Deno.mkdir(path, { mode: 0o700 });
    await refused();
    await Deno.remove(path);
    await Deno.writeTextFile(path, JSON.stringify(NOTE));
    await Deno.chmod(path, 0o640);
    await refused();
    await Deno.chmod(path, 0o600);
    assert.deepEqual(await readRecord(path), NOTE);
  }));
