/** Says what a rank sees of its place and what it may do. Joins the job unless told not to. */

import { init } from "../../../runtime/bootstrap/init.ts";

const attempt = async (what: () => unknown): Promise<string> => {
  try {
    await what();
    return "allowed";
  } catch (error) {
    return (error as Error).name;
  }
};

if (!Deno.args.includes("alone")) {
  const comm = await init();
  const total = Float64Array.of(comm.rank);
  await comm.allreduce(total);
  console.log(`sum ${total[0]} of ${comm.size}`);
  await comm.close();
}
console.log(JSON.stringify({
  args: Deno.args,
  cwd: Deno.cwd(),
  rank: Deno.env.get("CELGC_RANK"),
  sockets: Deno.env.get("CELGC_SOCKETS") ?? null,
  answer: await attempt(() => Deno.env.get("ANSWER")),
  home: await attempt(() => Deno.env.get("HOME")),
  run: await attempt(() => new Deno.Command("true").output()),
  read: await attempt(() => Deno.readTextFile(Deno.args[0])),
  write: await attempt(() => Deno.writeTextFile(`${Deno.args[0]}.new`, "")),
  network: await attempt(() => Deno.connect({ hostname: "192.0.2.1", port: 9 })),
  hostname: await attempt(() => Deno.hostname()),
}));
