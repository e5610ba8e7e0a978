import assert from "node:assert/strict";
import { readNpy } from "../../../../tasks/data/arrays/npy.ts";
import { hasModule, PYTHON } from "../../../_helpers/peers/python.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";
import { encodeNpy, floats, wholes } from "../../npy.ts";

const hasNumpy = await hasModule("numpy");

const NUMPY = `
import sys, numpy
from numpy.lib import format
values = (numpy.arange(24) - 4).reshape(2, 3, 4)
for name in sys.argv[2:]:
    kind, order, version = name.split("_")
    array = numpy.array(values.astype(kind), order=order)
    with open(f"{sys.argv[1]}/{name}.npy", "wb") as file:
        format.write_array(file, array, version=(int(version), 0))
`;

Deno.test({
  name: "what NumPy writes is read: every type, order of bytes and of axes, and format version" +
    (hasNumpy ? "" : " (skipped: NumPy is not installed)"),
  ignore: !hasNumpy,
  async fn() {
    await using folder = await temporaryFolder();
    const types = ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "i1", "<i2", ">i2", "<i4", ">i4"];
    types.push("<i8", ">i8", "bool", "<U3", ">U3", "S3");
    const names = types.flatMap((type) => [`${type}_C_1`, `${type}_F_1`]);
    names.push("<f4_C_2", "<f4_C_3", "<i8_F_3");
    const args = ["-c", NUMPY, folder.path, ...names];
    const { success, stderr } = await new Deno.Command(PYTHON, { args }).output();
    assert(success, new TextDecoder().decode(stderr));
    for (const name of names) {
      const array = readNpy(await Deno.readFile(`${folder.path}/${name}.npy`));
      const expected = Array.from({ length: 24 }, (_, i) => i - 4);
      assert.deepEqual(array.dims, [2, 3, 4], name);
      assert.deepEqual(
        Array.from<unknown>(array.data),
        array.kind === "text"
          ? expected.map(String)
          : array.kind === "boolean"
          ? expected.map((value) => value === 0 ? 0 : 1)
          : expected,
        name,
      );
      const kinds = { f: "float", i: "whole", b: "boolean", U: "text", S: "text" } as const;
      assert.equal(array.kind, kinds[/[a-zA-Z]/.exec(name)![0] as keyof typeof kinds], name);
    }
  },
});

Deno.test("an array of no axes, of none of some, and unsigned numbers are read", () => {
  assert.deepEqual(readNpy(floats([], [3])).dims, []);
  assert.deepEqual(readNpy(floats([0, 3], [])).data.length, 0);
  const largest = encodeNpy("<u8", [1], new Uint8Array(BigUint64Array.of(2n ** 53n - 1n).buffer));
  assert.deepEqual(Array.from<unknown>(readNpy(largest).data), [2 ** 53 - 1]);
  assert.deepEqual(
    Array.from<unknown>(readNpy(encodeNpy("|u1", [2], Uint8Array.of(7, 255))).data),
    [7, 255],
  );
  assert.deepEqual(Array.from<unknown>(readNpy(wholes([2], [-1, 2 ** 40])).data), [-1, 2 ** 40]);
});

Deno.test("what cannot be read is refused in one line that says why", () => {
  const refuse = (bytes: Uint8Array, pattern: RegExp) =>
    assert.throws(() => readNpy(bytes), (error: Error) => {
      assert(error instanceof RangeError, `${error}`);
      assert.match(error.message, pattern);
      return !error.message.includes("\n");
    });
  const eight = new Uint8Array(8);
  refuse(new Uint8Array(4), /does not begin as a \.npy file/);
  refuse(new TextEncoder().encode("?NUMPY\x01\0"), /does not begin as a \.npy file/);
  refuse(Uint8Array.of(0x93, ...new TextEncoder().encode("NUMPI\x01\0")), /does not begin as/);
  refuse(encodeNpy("|O", [1], eight), /Python objects, which are pickled code and are not run/);
  refuse(encodeNpy("<c8", [1], eight), /its elements are "<c8"; floats, whole numbers/);
  refuse(encodeNpy("<f4", [3], eight), /\(3,\) of "<f4" takes 12 bytes, and 8 follow.* cut off/);
  refuse(encodeNpy("<f4", [1], eight), /takes 4 bytes, and 8 follow .* damaged/);
  refuse(encodeNpy("<f4", [2 ** 20, 2 ** 20], eight), /more than 2147483648 elements/);
  refuse(encodeNpy("<f4", [2], eight, { version: 4 }), /format version is 4; 1, 2 and 3/);
  refuse(floats([2], [1, 2]).subarray(0, 60), /its head is cut off/);
  refuse(wholes([1], [2 ** 53]), /holds 9007199254740992, and whole numbers beyond 2\^53/);
  const records = new TextDecoder("latin1").decode(encodeNpy("<f4", [2], eight))
    .replace("'<f4'", "[('a', '<f4')]");
  const bytes = Uint8Array.from(records, (character) => character.charCodeAt(0));
  bytes[0] = 0x93;
  refuse(bytes, /records of several fields/);
});
