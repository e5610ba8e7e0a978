/**
 * Two connections made into one.
 *
 * @module
 */

/** Size of the buffers that bytes pass through; two each way, so that one fills while the other empties. */
const BUFFER_BYTES = 64 << 10;

/**
 * Passes on what comes in on one connection to the other, each way, until both are at their ends or one breaks;
 * then both are closed. Nothing is read that the other side does not take.
 *
 * @param first bytes that have been read from `one` already
 */
export async function splice(one: Deno.Conn, other: Deno.Conn, first?: Uint8Array): Promise<void> {
  try {
    if (first !== undefined) await writeAll(other, first);
    await Promise.all([pass(one, other), pass(other, one)]);
  } catch {
    // Broken: the same as its end.
  } finally {
    close(one);
    close(other);
  }
}

async function pass(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const buffers = [new Uint8Array(BUFFER_BYTES), new Uint8Array(BUFFER_BYTES)];
  let reading = from.read(buffers[0]);
  for (let turn = 0;; turn ^= 1) {
    const n = await reading;
    if (n === null) break;
    reading = from.read(buffers[turn ^ 1]);
    reading.catch(() => {}); // told when it is its turn
    await writeAll(to, buffers[turn].subarray(0, n));
  }
  await to.closeWrite();
}

async function writeAll(to: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}

/** Closes a connection, once or several times. */
export function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Already closed.
  }
}
