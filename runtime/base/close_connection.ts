/**
 * Closes a connection that may be closed already: by this process, or because it has broken. Closing it again is
 * no fault then.
 */
export function closeConnection(connection: Pick<Deno.Conn, "close">): void {
  try {
    connection.close();
  } catch {
    // Already closed.
  }
}
