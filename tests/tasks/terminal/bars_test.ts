import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { type BarStream, fitParts, openBar } from "../../../tasks/terminal/bars.ts";

Deno.test("what a terminal is too narrow for is left out from the end, and nothing is cut in two", () => {
  const parts = ["████", "step 12/400", "5s left", "epoch 0.30", "", "loss 2.302"];
  assert.equal(fitParts(parts, 80), "████  step 12/400  5s left  epoch 0.30  loss 2.302");
  assert.equal(fitParts(parts, 38), "████  step 12/400  5s left  epoch 0.30");
  assert.equal(fitParts(parts, 37), "████  step 12/400  5s left");
  assert.equal(fitParts(parts, 2), "████");
});

/** A terminal of so many columns, and what was written to it. */
function terminal(columns: number) {
  let written = "";
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written += chunk;
      done();
    },
  });
  return {
    stream: Object.assign(stream, { isTTY: true, columns }) as BarStream,
    text: () => written,
  };
}

Deno.test("lines above a bar are shown whole, and the terminal is left as it was", async () => {
  const { stream, text } = terminal(80);
  {
    using bar = await openBar(400, {}, () => ["step 1/400", "9s left", "x".repeat(60)], stream);
    bar.update(1, {});
    bar.say(`an error of ${"more than eighty characters ".repeat(5)}with its way out`);
  }
  // Wrapping and the cursor are off while the bar is shown, and on again for a line and at the end.
  // deno-lint-ignore no-control-regex -- what terminals are told
  const wrapping = text().match(/\x1b\[\?7[hl]/g);
  assert.deepEqual(wrapping, ["\x1b[?7l", "\x1b[?7h", "\x1b[?7l", "\x1b[?7h"]);
  // deno-lint-ignore no-control-regex -- as above
  assert.match(text(), /\x1b\[\?7han error of .* with its way out\n\x1b\[\?7l/);
  assert.ok(text().includes("9s left"), "the time left is there at 80 columns");
  assert.doesNotMatch(text(), /xxx/);
  assert.ok(
    text().lastIndexOf("\x1b[?25h") > text().lastIndexOf("\x1b[?25l"),
    "the cursor is back",
  );
});
