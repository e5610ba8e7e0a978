/** Files of the repository as others find them on the web. */

import { ROOT } from "./deno.ts";

/** A server, until it is disposed of. */
export interface WebFolder extends AsyncDisposable {
  /**
   * The address of the repository's root, with a slash at the end. No other server has had it: Deno
   * keeps what it has loaded from an address, and a port comes again.
   */
  readonly url: string;
  /** Name and port. */
  readonly host: string;
}

/**
 * Serves the repository's files as a web server does.
 *
 * @param type What they are said to be, other than JSON.
 */
export function serveRepository(type = "application/typescript"): WebFolder {
  const name = `/${crypto.randomUUID()}/`;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    try {
      if (!pathname.startsWith(name)) throw new Deno.errors.NotFound();
      const body = await Deno.readFile(new URL(`./${pathname.slice(name.length)}`, ROOT));
      const is = pathname.endsWith(".json") ? "application/json" : type;
      return new Response(body, { headers: { "content-type": is } });
    } catch {
      return new Response(`no ${pathname}`, { status: 404 });
    }
  });
  const host = `127.0.0.1:${server.addr.port}`;
  return {
    url: `http://${host}${name}`,
    host,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
