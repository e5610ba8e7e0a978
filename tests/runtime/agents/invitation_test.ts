import assert from "node:assert/strict";
import { RendezvousError } from "../../../runtime/base/errors.ts";
import {
  decodeInvitation,
  encodeInvitation,
  type Invitation,
  readInvitationFile,
  writeInvitationFile,
} from "../../../runtime/agents/invitation.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const NOW = Date.UTC(2030, 0, 1);
const INVITATION: Invitation = {
  version: "1.2.3",
  job: "a1b2",
  secret: "5e".repeat(32),
  addresses: ["10.0.0.7:4000", "[fd00::7]:4000", "node7:4000"],
  ca: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----",
  expires: NOW + 60_000,
};

Deno.test("an invitation survives the way as one line", () => {
  const line = encodeInvitation(INVITATION);
  assert.match(line, /^celgc-invitation\.[\w-]+\.[0-9a-f]{16}$/);
  assert.deepEqual(decodeInvitation(`  ${line}\r\n`, NOW), INVITATION);
  assert.deepEqual(decodeInvitation(encodeInvitation({ ...INVITATION, ca: null }), NOW).ca, null);
});

/** The line of an invitation of another format. */
const ofFormat = (format: number) => encodeInvitation({ ...INVITATION, format } as Invitation);

for (
  const [name, text, message] of [
    ["nothing", "", /^cannot join: this is no invitation, .* it is empty$/],
    ["something else", "hunter2", /no invitation, .* it has 7 characters of something else$/],
    [
      "one with a letter changed",
      encodeInvitation(INVITATION).replace(/\.(.)/, ".-$1"),
      /is damaged/,
    ],
    ["one that was cut off", encodeInvitation(INVITATION).slice(0, -3), /damaged.*copy the whole/],
    ["one of another format", ofFormat(2), /of format 2, this program reads format 1/],
    [
      "one without a secret",
      encodeInvitation({ ...INVITATION, secret: "" }),
      /lacks something, or has it wrong/,
    ],
    [
      "one without an address",
      encodeInvitation({ ...INVITATION, addresses: ["nowhere"] }),
      /lacks something/,
    ],
    [
      "one that has expired",
      encodeInvitation({ ...INVITATION, expires: NOW - 1000 }),
      /expired at 2029-12-31T23:59:59\.000Z, and it is 2030-01-01T00:00:00\.000Z/,
    ],
  ] as [string, string, RegExp][]
) {
  Deno.test(`an invitation is refused in one line that does not show it: ${name}`, () => {
    assert.throws(() => decodeInvitation(text, NOW), (error) => {
      assert(error instanceof RendezvousError);
      assert.match(error.message, message);
      assert(!error.message.includes("\n") && !error.message.includes(INVITATION.secret));
      assert(text === "" || !error.message.includes(text));
      return true;
    });
  });
}

Deno.test("an invitation's file is its user's alone", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/invitation`, valid = { ...INVITATION, expires: Date.now() + 60_000 };
  const remove = await writeInvitationFile(path, valid);
  assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  assert.deepEqual(await readInvitationFile(path), valid);
  await Deno.chmod(path, 0o640);
  await assert.rejects(readInvitationFile(path), /its mode must be 0600, not 0640/);
  remove();
  await assert.rejects(
    readInvitationFile(path),
    /invitation \/.* cannot be read: there is no such file/,
  );
  const itself = encodeInvitation(valid);
  await assert.rejects(readInvitationFile(itself), (error: Error) => {
    assert.match(error.message, /a file with the invitation is required/);
    return !error.message.includes(itself);
  });
  await assert.rejects(writeInvitationFile("/dev/null/x", valid), /cannot write the invitation/);
});
