/**
 * Damaged bytes for every reader of something from outside: it reads them or says clearly that it cannot.
 * `FUZZ_MUTATIONS` and `FUZZ_SEED` in the environment ask for more of them, or others. What once failed is in
 * `corpus/`, and is tried each time.
 *
 * @module
 */

import assert from "node:assert/strict";
import { temporaryFolder } from "../_helpers/temporary_folder.ts";
import { Mutations } from "./_mutations.ts";
import { tryReader } from "./_reader.ts";
import { readers } from "./_readers.ts";

const MUTATIONS = Number(Deno.env.get("FUZZ_MUTATIONS") ?? 20_000);
const SEED = Number(Deno.env.get("FUZZ_SEED") ?? 1);

/** Files of the corpus for a reader: they lie in a folder of its name. */
function once(reader: string): { name: string; bytes: Uint8Array<ArrayBuffer> }[] {
  const folder = new URL(`corpus/${encodeURIComponent(reader)}/`, import.meta.url);
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => ({
      name,
      bytes: Deno.readFileSync(new URL(name, folder)),
    }));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

const folder = await temporaryFolder();
Deno.test.afterAll(async () => await folder[Symbol.asyncDispose]());

for (const reader of await readers(folder.path)) {
  Deno.test(`${reader.name}: damage is read or refused clearly`, async (t) => {
    await t.step("what is whole is read", async () => {
      assert.ok(reader.seeds.length > 0);
      let read = 0;
      for (const seed of reader.seeds) {
        await tryReader(reader, Uint8Array.from(seed), "a whole file");
        read++;
      }
      assert.equal(read, reader.seeds.length);
    });
    await t.step("what once failed", async () => {
      for (const { name, bytes } of once(reader.name)) await tryReader(reader, bytes, name);
    });
    const count = Math.ceil(MUTATIONS * (reader.share ?? 1));
    await t.step(`${count} mutations`, async () => {
      const mutations = new Mutations(reader.seeds, SEED, reader.name);
      for (let i = 0; i < count; i++) {
        await tryReader(reader, mutations.next(), `mutation ${i} of seed ${SEED}`);
      }
    });
  });
}
