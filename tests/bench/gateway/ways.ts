/**
 * Times messages between two hosts that dial each other, that have one port each, and that meet at the relay.
 * The hosts are processes of this machine with names of their own; the ways take turns.
 *
 *     deno task bench gateway [--rounds 3]
 */

import { parseArgs } from "node:util";
import { launchProgram } from "../../../runtime/launcher/launch.ts";
import { openWorld } from "../../../runtime/launcher/across_hosts.ts";

const HELP = `deno task bench gateway [options]

  --rounds N   how often all ways take their turn (default 3)

One way of a message of 4 bytes and of 24.2 MB, under TLS; the median of a round's, and of the rounds.`;

/** What the two hosts join with. */
const WAYS: Record<string, (host: number) => string[]> = {
  "direct": () => [],
  "--port": (host) => ["--port", String(29700 + host)],
  // An address for documentation (RFC 5737): nobody has it.
  "relay": () => ["--listen", "192.0.2.77"],
};

/** What `program.ts` prints. */
interface Times {
  readonly carrier: string;
  readonly relayed: boolean;
  readonly smallMicroseconds: number;
  readonly largeMilliseconds: number;
}

async function measure(way: string): Promise<Times> {
  const folder = await Deno.makeTempDir(), invitation = `${folder}/invitation`;
  const opening = openWorld({ ranks: 1, world: 3, invitation, say: () => {} });
  while (!await Deno.stat(invitation).then(() => true, () => false)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const main = new URL("../../../tasks/cli/main.ts", import.meta.url).href;
  const agents = [1, 2].map((host) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", main, "join", "--quiet", "--invitation", invitation, ...WAYS[way](host)]
        .concat("--ranks", "1"),
      env: { CELGC_HOST: `host-${host}` },
      stdout: "null",
      stderr: "null",
    }).spawn()
  );
  const lines: string[] = [];
  {
    await using on = await opening;
    const program = new URL("./program.ts", import.meta.url);
    const onOutput = (_: number, line: string) => void lines.push(line);
    const { failure } = await launchProgram({ ranks: 3, program, on, quiet: true, onOutput });
    if (failure) throw new Error(failure.message);
  }
  await Promise.all(agents.map(({ status }) => status));
  await Deno.remove(folder, { recursive: true });
  const times: Times = JSON.parse(lines.find((line) => line.startsWith("{"))!);
  if (times.carrier !== "tls" || times.relayed !== (way === "relay")) {
    throw new Error(`${way}: took another way: ${JSON.stringify(times)}`);
  }
  return times;
}

const median = (numbers: number[]) => numbers.sort((a, b) => a - b)[numbers.length >> 1];

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "3" }, help: { type: "boolean" } },
});
if (values.help) {
  console.log(HELP);
  Deno.exit(0);
}
const taken = new Map<string, Times[]>(Object.keys(WAYS).map((way) => [way, []]));
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [way, times] of taken) times.push(await measure(way));
}
console.log("| way | 4 bytes, µs | 24.2 MB, ms |\n| --- | --- | --- |");
for (const [way, times] of taken) {
  const small = median(times.map(({ smallMicroseconds }) => smallMicroseconds));
  const large = median(times.map(({ largeMilliseconds }) => largeMilliseconds));
  console.log(`| ${way} | ${small.toFixed(0)} | ${large.toFixed(0)} |`);
}
