import assert from "node:assert/strict";
import { counted } from "../../../runtime/base/words.ts";

Deno.test("one of something is one, all other counts are several", () => {
  const words = [0, 1, 2].map((count) => counted(count, "rank"));
  assert.deepEqual(words, ["0 ranks", "1 rank", "2 ranks"]);
  assert.equal(counted(3, "class", "classes"), "3 classes");
});
