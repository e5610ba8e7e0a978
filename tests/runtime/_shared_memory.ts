/** Memory that another process shows, and whether the system lets processes look into each other's. */

import { PAGE_BYTES, SharedMemory } from "../../runtime/shared_memory/memory.ts";
import { program } from "../_helpers/jobs.ts";

/** Pages that may be replaced: WebAssembly's memory is never given back while it is held here. */
const MEMORY = new WebAssembly.Memory({ initial: 4 });
let next = 0;

/** Fresh pages of this process. */
export function pages(count: number): Uint8Array<ArrayBuffer> {
  const start = next;
  next += count * PAGE_BYTES;
  return new Uint8Array(MEMORY.buffer as ArrayBuffer, start, count * PAGE_BYTES);
}

/** Another process and its page of memory, in which byte 0 is 42. */
export interface Sharer {
  readonly pid: number;
  readonly descriptor: number;
  /** Ends the process; resolves with what was in byte 1 of its page. */
  end(): Promise<number>;
}

/** Starts a process that shows a page; null if it has no means to. */
export async function startSharer(): Promise<Sharer | null> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-ffi", program("shares").href],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "", ended = false;
  while (!text.includes("\n") && !ended) {
    const { value = "", done } = await reader.read();
    text += value;
    ended = done;
  }
  const end = async () => {
    await child.stdin.close();
    let rest = "";
    for (let part; !(part = await reader.read()).done;) rest += part.value;
    await child.status;
    return Number(rest);
  };
  if (ended) {
    await end();
    return null;
  }
  const [pid, descriptor] = text.split(" ").map(Number);
  return { pid, descriptor, end };
}

/** Why processes cannot look into each other's memory here, or null if they can. */
export async function whyNoSharing(): Promise<string | null> {
  const shared = SharedMemory.open(), sharer = await startSharer();
  if (sharer === null || shared === null) {
    await sharer?.end();
    return "there are no means to share memory";
  }
  const attached = shared.attach(sharer.pid, sharer.descriptor, pages(1));
  await sharer.end();
  return attached ? null : "the system forbids a process to open another's memory";
}
