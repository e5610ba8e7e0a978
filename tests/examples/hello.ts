/** Every rank says hello. Run it with `deno task launch --ranks 4 tests/examples/hello.ts`. */

import { init } from "../../runtime/bootstrap/init.ts";

await using comm = await init();
console.log(`hello from rank ${comm.rank} of ${comm.size}`);
