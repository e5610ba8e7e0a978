import assert from "node:assert/strict";
import config from "../../../deno.json" with { type: "json" };
import { VERSION } from "../../../tasks/run/version.ts";

Deno.test("the version that a run records is the package's", () => {
  assert.equal(VERSION, config.version);
});
