import assert from "node:assert/strict";
import { isSystemError, systemReason } from "../../../runtime/base/system_error.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

Deno.test("what the system refuses is told without its number, its call and the path", async () => {
  await using folder = await temporaryFolder();
  const { path } = folder, file = `${path}/file`;
  await Deno.writeTextFile(file, "");
  const refused: [() => Promise<unknown>, RegExp][] = [
    [() => Deno.readTextFile(`${path}/none`), /^there is no such file or folder$/],
    [() => Deno.mkdir(file), /^a file of that name exists$/],
    [() => Deno.readTextFile(`${file}/below`), /^a part of its path is a file and no folder$/],
    [() => Deno.writeTextFile(path, ""), /^it is a folder$/],
    [() => Deno.rename(path, `${path}/inside`), /^[^()':]+$/],
  ];
  for (const [call, reason] of refused) {
    const error = await call().then(() => null, (error) => error);
    assert.ok(isSystemError(error));
    assert.match(systemReason(error), reason);
  }
});

Deno.test("what the system has not refused keeps its message, an exception of another kind its text", () => {
  assert.equal(isSystemError(new RangeError("too long")), false);
  assert.equal(systemReason(new RangeError("too long")), "too long");
  assert.equal(systemReason("stopped"), "stopped");
});
