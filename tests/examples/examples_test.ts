/** Every example of the runtime, launched as its reader would. */

import assert from "node:assert/strict";
import { permissionsFor } from "../../runtime/devices/open.ts";
import { run } from "../_helpers/jobs.ts";

/** What the ranks print, as `rank: line`, in the order of ranks. */
async function outputOf(name: string, ranks: number, ...args: string[]): Promise<string[]> {
  const program = new URL(`./${name}`, import.meta.url), allow = permissionsFor("cpu");
  const { code, failure, lines } = await run({ ranks, args, program, allow });
  assert.equal(code, 0, failure?.message ?? "no failure was told");
  return lines.flatMap((own, rank) => own.map((line) => `${rank}: ${line}`));
}

Deno.test("hello: every rank says hello", async () => {
  assert.deepEqual(await outputOf("hello.ts", 3), [
    "0: hello from rank 0 of 3",
    "1: hello from rank 1 of 3",
    "2: hello from rank 2 of 3",
  ]);
});

Deno.test("ping-pong: the ball is touched by both ranks in turn", async () => {
  const lines = await outputOf("ping_pong.ts", 2);
  assert.equal(lines.length, 3);
  for (const [i, floats] of [1, 1000, 1_000_000].entries()) {
    const form = /^0: (\d+) floats, touched (\d+) times: (\S+) ms, \S+ GB\/s$/.exec(lines[i]);
    assert.deepEqual(form?.slice(1, 3), [String(floats), "100"]);
    assert.ok(Number(form?.[3]) > 0);
  }
});

Deno.test("ring: the token gathers every rank, three times", async () => {
  assert.deepEqual(
    await outputOf("ring.ts", 5),
    [10, 20, 30].map((sum, i) => `0: round ${i + 1}: the token is ${sum}`),
  );
});

Deno.test("Monte Carlo: ranks draw different points and come near to π", async () => {
  const [line] = await outputOf("monte_carlo_pi.ts", 4, "200000");
  const [, pi, error] = /^0: π ≈ (\S+) ± (\S+) from 800000 points$/.exec(line)!.map(Number);
  assert.ok(error < 0.002 && Math.abs(pi - Math.PI) < 4 * error, line);
});

Deno.test("matrix product: rows that do not divide among the ranks", async () => {
  const lines = await outputOf("matrix_product.ts", 3, "100");
  assert.equal(lines.length, 1);
  assert.match(lines[0], /^0: 100 × 100 on 3 ranks, largest error \d\.\de-\d+$/);
});

Deno.test("a network and data of one's own: CELGC learns the arms", async () => {
  const [line] = await outputOf("own_model.ts", 2);
  const [, accuracy, rounds] = /^0: accuracy (\S+), (\d+) rounds$/.exec(line)!.map(Number);
  assert.equal(rounds, 150);
  assert.ok(accuracy > 0.85, line);
});

Deno.test("an optimizer of one's own: Lion learns from images", async () => {
  const [line] = await outputOf("own_optimizer.ts", 2);
  const [, accuracy, rounds] = /^0: accuracy (\S+), (\d+) rounds$/.exec(line)!.map(Number);
  assert.equal(rounds, 32);
  assert.ok(accuracy > 0.7, line);
});

Deno.test("an algorithm of one's own: BMUF learns from images", async () => {
  const [line] = await outputOf("own_algorithm.ts", 2);
  const [, accuracy, rounds] = /^0: accuracy (\S+), (\d+) rounds$/.exec(line)!.map(Number);
  assert.equal(rounds, 32);
  assert.ok(accuracy > 0.7, line);
});

Deno.test("images of one's own: discs, squares and crosses are told apart", async () => {
  const [line] = await outputOf("own_data.ts", 2);
  const [, accuracy, step] = /^0: accuracy (\S+), best at step (\d+)$/.exec(line)!.map(Number);
  assert.ok(accuracy > 0.9 && step > 0, line);
});

Deno.test("callbacks of one's own: one prints, the other stops the run", async () => {
  const lines = await outputOf("own_callback.ts", 2);
  const stopped = /^0: good enough stopped it after (\d+) steps$/.exec(lines.pop()!);
  assert.ok(Number(stopped![1]) < 12 * 62.5, `${stopped} is before the epochs are over`);
  const losses = lines.map((line, i) => {
    const form = /^0: round (\d+): loss (\S+), drift (\S+) of (\S+)$/.exec(line)!;
    assert.equal(Number(form[1]), 4 * (i + 1));
    assert.ok(Number(form[3]) <= Number(form[4]), line);
    return Number(form[2]);
  });
  assert.ok(losses.length > 1 && losses.at(-1)! < losses[0], `${losses}`);
});

Deno.test("a graph and a loop of one's own: two ranks find the line", async () => {
  assert.deepEqual(await outputOf("own_loop.ts", 2), ["0: 1.00 -2.00 0.50 4.00"]);
});

Deno.test("examples of one's own stay within forty lines of code", async () => {
  const folder = new URL(".", import.meta.url);
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  for (const name of names.filter((name) => name.startsWith("own_"))) {
    const text = await Deno.readTextFile(new URL(`./${name}`, import.meta.url));
    const code = text.slice(text.indexOf("*/") + 2).split("\n").filter((line) =>
      line.trim() !== ""
    );
    assert.ok(code.length < 40, `${name} has ${code.length} lines`);
  }
});
