/**
 * Ends in the way its first argument says, on the rank its second argument says; all other ranks
 * wait for it in a collective, or for ever where the program never joins.
 */

import { init } from "../../../runtime/bootstrap/init.ts";

const [way, victim] = Deno.args;
const isVictim = Deno.env.get("CELGC_RANK") === victim;
console.log(`pid ${Deno.pid}`);

if (way === "forget") {
  const comm = await init();
  await comm.allreduce(new Float32Array(1));
} else if (way === "error after goodbye") {
  const comm = await init();
  await comm.close();
  if (isVictim) throw new Error("too late");
} else if (way === "stalls after its goodbye") {
  await (await init()).close();
  // The others' goodbyes are answered first: who waited for that would see it stall as well.
  if (isVictim) {
    setTimeout(() => {
      while (true);
    }, 500);
  }
} else if (way === "works after its goodbye") {
  await (await init()).close();
  if (isVictim) await new Promise((resolve) => setTimeout(resolve, 5000));
} else if (way === "never joins") {
  if (!isVictim) await (await init()).barrier();
} else if (way === "hangs") {
  // As a program that still waits for something else.
  if (isVictim) setInterval(() => {}, 1000);
  else await (await init()).barrier();
} else if (way === "two errors") {
  await using comm = await init();
  setInterval(() => {}, 1000);
  await using _scope = {
    async [Symbol.asyncDispose]() {
      if (isVictim) await Promise.reject(new Error("the second"));
    },
  };
  if (isVictim) throw new Error("the first");
  await comm.barrier();
} else if (way === "error before another goes") {
  await using _comm = await init();
  if (isVictim) throw new Error("the first");
  for (const end = performance.now() + 500; performance.now() < end;); // its goodbye has no answer
  Deno.exit(7);
} else if (way === "code") {
  if (isVictim) Deno.exit(7);
  setInterval(() => {}, 1000);
} else if (way === "stubborn") {
  Deno.addSignalListener("SIGTERM", () => {});
  Deno.addSignalListener("SIGINT", () => {});
  setInterval(() => {}, 1000);
} else if (way === "loop") {
  await using comm = await init();
  for (;;) {
    await comm.allreduce(new Float32Array(1000));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
} else if (way === "idle") {
  setInterval(() => {}, 1000);
} else if (way === "deadlock") {
  // Ranks 0 and 1 wait for each other's message; the others wait for both.
  await using comm = await init();
  await comm.allreduce(new Float32Array(1));
  console.log("in order so far");
  if (comm.rank === 3) { while (true); }
  if (comm.rank < 2) await comm.recv(new Float32Array(1), 1 - comm.rank, 7);
  await comm.barrier();
} else if (way === "busy") {
  while (true);
} else if (way === "reads") {
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of Deno.stdin.readable) text += decoder.decode(bytes, { stream: true });
  await using comm = await init();
  await comm.barrier();
  console.log(`read ${JSON.stringify(text)}`);
} else if (way === "child") {
  const child = new Deno.Command("sleep", { args: ["600"], stdout: "inherit" }).spawn();
  console.log(`pid ${child.pid}`);
  if (isVictim) Deno.exit(0);
  await child.status;
} else if (way === "abort") {
  await using comm = await init();
  if (isVictim) await comm.abort(42, "enough is enough");
  await comm.barrier();
} else if (way === "strangers") {
  const [hostname, port] = Deno.env.get("CELGC_RENDEZVOUS")!.split(":");
  const crowd: Deno.Conn[] = [];
  if (isVictim) {
    crowd.push(
      ...await Promise.all(
        Array.from({ length: 200 }, () => Deno.connect({ hostname, port: Number(port) })),
      ),
    );
    await Promise.all(crowd.map((stranger) => stranger.write(new Uint8Array(256))));
    for (const stranger of crowd.slice(100)) stranger.close();
  }
  await using comm = await init();
  await comm.barrier();
  console.log("all here");
  for (const stranger of crowd.slice(0, 100)) stranger.close();
} else {
  throw new Error(`no such way: ${way}`);
}
