/** Sends itself a signal at moments of a clock of its own, and prints each time that it is told of one. */

import { type EndingSignal, onInterrupt } from "../../../../runtime/launcher/interrupts.ts";

const [name, ...moments] = Deno.args as [EndingSignal, ...string[]];
let now = 0, came = () => {};
performance.now = () => now;
const undo = onInterrupt({ handleSignals: [name] }, (how) => console.log(`${how} ${now}`));
const handler = () => came();
Deno.addSignalListener(name, handler); // is called after the other
for (const moment of moments) {
  now = Number(moment);
  const heard = new Promise<void>((resolve) => came = resolve);
  Deno.kill(Deno.pid, name);
  await heard;
}
Deno.removeSignalListener(name, handler);
undo();
