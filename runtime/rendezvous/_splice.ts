/**
 * Two connections made into one.
 *
 * @module
 */

import { closeConnection } from "../base/close_connection.ts";
import { platform } from "../base/platform.ts";

/** Size of the buffers that bytes pass through; two each way, so that one fills while the other empties. */
const BUFFER_BYTES = 64 << 10;

/** How long a connection that has ended one way may be silent the other way, in ms. */
const HALF_OPEN_MS = 1000;

/**
 * Passes on what comes in on one connection to the other, each way, until both are at their ends or one breaks;
 * then both are closed. Nothing is read that the other side does not take.
 *
 * Who talks here closes its connection whole, so once one way has ended, whatever comes the other way comes for
 * nobody. It is passed on all the same, because to close with bytes unread takes back those that were sent; but
 * whoever has nothing more to say, such as a stranger whom the launcher has hung up on, is not waited for.
 *
 * @param first bytes that have been read from `one` already
 */
export async function splice(one: Deno.Conn, other: Deno.Conn, first?: Uint8Array): Promise<void> {
  let halfOpen = false, timer: ReturnType<typeof setTimeout> | undefined;
  const end = () => {
    closeConnection(one);
    closeConnection(other);
  };
  const wait = () => {
    platform.clearTimeout(timer);
    timer = platform.setTimeout(end, HALF_OPEN_MS);
  };
  const pass = async (from: Deno.Conn, to: Deno.Conn) => {
    await passOn(from, to, () => halfOpen && wait());
    await to.closeWrite();
    halfOpen = true;
    wait();
  };
  try {
    if (first !== undefined) await writeAll(other, first);
    await Promise.all([pass(one, other), pass(other, one)]);
  } catch {
    // Broken: the same as its end.
  } finally {
    platform.clearTimeout(timer);
    end();
  }
}

async function passOn(from: Deno.Conn, to: Deno.Conn, passed: () => void): Promise<void> {
  const buffers = [new Uint8Array(BUFFER_BYTES), new Uint8Array(BUFFER_BYTES)];
  let reading = from.read(buffers[0]);
  for (let turn = 0;; turn ^= 1) {
    const n = await reading;
    if (n === null) return;
    reading = from.read(buffers[turn ^ 1]);
    reading.catch(() => {}); // told when it is its turn
    await writeAll(to, buffers[turn].subarray(0, n));
    passed();
  }
}

async function writeAll(to: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}
