import assert from "node:assert/strict";
import { BytesPool } from "../../../runtime/algorithms/_bytes_pool.ts";

Deno.test("what was lent and has come back is lent again, once", () => {
  const pool = new BytesPool(), first = pool.take(100_000);
  assert.equal(first.length, 100_000);
  pool.giveBack(first);
  pool.giveBack(first);
  const again = pool.take(90_000), other = pool.take(90_000);
  assert.equal(again.buffer, first.buffer);
  assert.notEqual(other.buffer, first.buffer);
});

Deno.test("a pool does not keep memory that it has not lent", () => {
  const pool = new BytesPool(), foreign = new Uint8Array(1 << 20);
  pool.giveBack(foreign);
  assert.notEqual(pool.take(1).buffer, foreign.buffer);
});
