/** The repository as others find it on the web. */

import { ROOT } from "../../_helpers/deno.ts";

/** Serves the repository's files as a web server does. */
export function serveRepository(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    try {
      const body = await Deno.readFile(new URL(`.${pathname}`, ROOT));
      const type = pathname.endsWith(".json") ? "application/json" : "application/typescript";
      return new Response(body, { headers: { "content-type": type } });
    } catch {
      return new Response(`no ${pathname}`, { status: 404 });
    }
  });
}
