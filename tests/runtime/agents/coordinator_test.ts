/** What a coordinator leaves behind that cannot be opened. */

import assert from "node:assert/strict";
import { Coordinator } from "../../../runtime/agents/coordinator.ts";
import { RendezvousError } from "../../../runtime/base/errors.ts";

const PORT = 29_841;

Deno.test({
  name: "a coordinator that cannot listen behind its port leaves that port free",
  // And not 127.0.0.1, where TLS begins.
  permissions: { net: [`0.0.0.0:${PORT}`], env: "inherit", sys: "inherit", read: "inherit" },
  async fn() {
    await assert.rejects(
      Coordinator.open({
        ...{ ranks: 1, expected: { kind: "ranks", size: 2 }, mostRanks: null, version: "1" },
        ...{ listen: ["0.0.0.0"], port: PORT, tls: true, timeout: 60, joinTimeout: 60 },
        say: () => {},
      }),
      (error) =>
        error instanceof RendezvousError &&
        /^cannot launch: cannot listen on 127\.0\.0\.1: /.test(error.message),
    );
    Deno.listen({ hostname: "0.0.0.0", port: PORT }).close();
  },
});
