import assert from "node:assert/strict";
import { hashOf, replay, step } from "./_course.ts";
import { soak, type Soaked } from "./_soak.ts";

Deno.test("a replay of one rank is its steps, and of two their mean", async () => {
  const one = new Float32Array(10_000), two = new Float32Array(10_000);
  step(one, 0, 1);
  assert.equal(await hashOf(replay([{ from: 1, members: [0] }], 1)), await hashOf(one));
  step(two, 3, 1);
  const mean = one.map((value, i) => Math.fround(value + two[i]) / 2);
  assert.deepEqual(replay([{ from: 1, members: [0, 3] }], 1), mean);
  assert.notDeepEqual(one, two);
});

Deno.test({
  name: "three minutes of soak keep all its promises (where CI is set)",
  ignore: Deno.build.os !== "linux" || !Deno.env.get("CI"), // where nobody waits for it
  async fn() {
    // By the command: other tests are in this process, with memory and descriptors of their own.
    const program = new URL("main.ts", import.meta.url).href;
    const args = ["run", "-A", "--no-check", program, "--minutes", "3", "--ranks", "8", "--quiet"];
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    const [said, broken] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assert.equal(code, 0, broken + said);
    const { killed, came } = JSON.parse(said) as Soaked;
    assert.ok(killed >= 10 && came >= 10, said);
  },
});

Deno.test({
  name: "ranks are killed and come, rounds go on, and a replay of who was there has the same bits",
  ignore: Deno.build.os !== "linux",
  async fn() {
    // On a machine that is busy elsewhere nobody may be back in so short a time; in a minute somebody is.
    for (const minutes of [0.35, 1]) {
      const soaked = await soak({ minutes, ranks: 4, seed: 1 });
      const { code, killed, came, rounds, changes, hashes, replayed } = soaked;
      assert.equal(code, 0);
      assert.ok(killed >= 2 && changes >= 2, JSON.stringify(soaked));
      assert.ok(rounds > 10, `${rounds} rounds`);
      assert.deepEqual(hashes, [replayed]);
      if (came > 0) return;
    }
    assert.fail("nobody has come");
  },
});
