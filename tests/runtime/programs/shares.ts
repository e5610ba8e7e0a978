/**
 * Shows a page of memory to whoever opens it, until its standard input ends: prints the number of the
 * process and that of the memory, or nothing if it has no means to.
 */

import { PAGE_BYTES, SharedMemory } from "../../../runtime/shared_memory/memory.ts";

const shared = SharedMemory.open();
if (shared !== null) {
  const { buffer } = new WebAssembly.Memory({ initial: 1 });
  const page = new Uint8Array(buffer as ArrayBuffer, 0, PAGE_BYTES);
  const descriptor = shared.create(page);
  page[0] = 42;
  console.log(`${Deno.pid} ${descriptor}`);
  while (await Deno.stdin.read(new Uint8Array(1)) !== null);
  console.log(page[1]);
}
