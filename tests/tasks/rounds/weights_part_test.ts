import assert from "node:assert/strict";
import { WeightsPart } from "../../../tasks/rounds/weights_part.ts";

const FLAT = Float32Array.from({ length: 12 }, (_, i) => i);

Deno.test("a part that lies in one piece is a view of the weights", () => {
  const part = new WeightsPart({ offset: 2, length: 3 }, [{ offset: 5, length: 4 }]);
  const flat = FLAT.slice(), values = part.take(flat);
  assert.deepEqual([...values], [2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual([part.trained, part.length], [3, 7]);
  values[0] = -1;
  part.put(values, flat);
  assert.equal(flat[2], -1);
});

Deno.test("a part with statistics elsewhere is a copy that goes back to where it belongs", () => {
  const statistics = [{ offset: 8, length: 1 }, { offset: 10, length: 2 }];
  const part = new WeightsPart({ offset: 1, length: 3 }, [...statistics, { offset: 0, length: 0 }]);
  const flat = FLAT.slice(), values = part.take(flat);
  assert.deepEqual([...values], [1, 2, 3, 8, 10, 11]);
  values.forEach((x, i) => values[i] = -x);
  assert.deepEqual(flat, FLAT);
  part.put(values, flat);
  assert.deepEqual([...flat], [0, -1, -2, -3, 4, 5, 6, 7, -8, 9, -10, -11]);
});
