/**
 * Several hosts on one machine: network namespaces of Linux, each with a name, a network card and
 * addresses of its own, joined by a bridge in another namespace. They share the disk and the processors.
 *
 * It takes root and iproute2. Where there are none, hosts can be further loopback addresses of this
 * machine (127.0.0.2, …): without names, without a count of bytes, without a cable to pull.
 */

import { deno, type Ended, ROOT } from "../_helpers/deno.ts";
import { temporaryFolder } from "../_helpers/temporary_folder.ts";

/** No command on a host lives longer, in ms. */
const LONGEST_MS = 120_000;

/**
 * Names of namespaces begin so: the number of the process that made them, and what tells its test files apart, which
 * may run at the same time.
 */
const PREFIX = `celgc-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;

/** Bytes that a host's network card has carried, as its kernel counts them. */
export interface Traffic {
  readonly sent: number;
  readonly received: number;
}

/** What a command on a host is given. */
export interface HostCommand {
  readonly env?: Record<string, string>;
  /** What comes on its standard input; nothing if not given. */
  readonly input?: string;
  readonly cwd?: string;
  /** When it is killed, in ms. */
  readonly limitMs?: number;
}

/** A command that runs on a host. */
export interface Running {
  readonly pid: number;
  /** What it has printed so far, both streams. */
  text(): string;
  /** Waits until what it has printed matches. @throws Error if it ends before */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  readonly ended: Promise<Ended>;
  kill(signal: Deno.Signal): void;
}

/** One of the hosts. */
export interface Host {
  /** `host-a`, `host-b`, …; every host resolves the names of all. */
  readonly name: string;
  readonly address: string;
  /** The empty string where hosts are loopback addresses. */
  readonly address6: string;
  /** Starts a command. */
  start(args: readonly string[], options?: HostCommand): Running;
  /** Runs a command and waits. */
  run(args: readonly string[], options?: HostCommand): Promise<Ended>;
  /** Processes that run on it. */
  pids(): Promise<number[]>;
  /** What the network card has carried: frames with their headers, as they are handed to the link. */
  traffic(): Promise<Traffic>;
  /** Lets the network card send no faster than this, such as `100mbit`. */
  shape(rate: string): Promise<void>;
  /** Pulls the cable. */
  cut(): Promise<void>;
}

/** Hosts of a test; they and all that runs on them are gone when it is disposed. */
export interface Hosts extends AsyncDisposable {
  readonly all: readonly Host[];
  readonly [index: number]: Host;
}

const decoder = new TextDecoder();

/** Runs a tool of the machine itself; its output, or an error with what it said. */
async function tool(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" })
    .output();
  if (success) return decoder.decode(stdout);
  throw new Error(`${[command, ...args].join(" ")}: ${decoder.decode(stderr).trim()}`);
}

/** Whether a tool is in the path, or at `/usr/sbin`. */
export async function hasTool(name: string): Promise<boolean> {
  return await tool("sh", "-c", `PATH="$PATH:/usr/sbin"; command -v "$0"`, name)
    .then(() => true, () => false);
}

/** Why there are no network namespaces here; null if there are. */
export const noNamespaces: string | null = await (async () => {
  if (Deno.build.os !== "linux") return "network namespaces are Linux's";
  if (Deno.uid() !== 0) return "network namespaces need root";
  if (!await hasTool("ip")) return "iproute2 is not installed";
  const name = `${PREFIX}-probe`;
  try {
    await tool("ip", "netns", "add", name);
    await tool("ip", "-n", name, "link", "add", "br0", "type", "bridge");
    return null;
  } catch (error) {
    return `no network namespaces: ${(error as Error).message.split("\n")[0]}`;
  } finally {
    await tool("ip", "netns", "del", name).catch(() => {});
  }
})();

/** What a test's name says when it is skipped for want of namespaces. */
export const namespacesNote = noNamespaces === null ? "" : ` (skipped: ${noNamespaces})`;

let made = 0;

/** What hosts are like. */
export interface HostsOptions {
  /** How many a test has. @default {2} */
  readonly count?: number;
  /** Whether each host takes its own name for 127.0.1.1, as on a Debian that was set up without a network. */
  readonly ownNameIsLoopback?: boolean;
  /** Other names of the hosts, one of each. */
  readonly aliases?: readonly string[];
}

let fetched: Promise<void> | undefined;

/**
 * Packages are fetched when they are asked for first, which is too late where no registry can be reached; and by a process
 * without a lock file, as ranks are, which asks the registry what versions there are.
 */
async function fetchWhatRanksNeed(): Promise<void> {
  const { code, stderr } = await deno([
    "eval",
    `const { loadX509, fetchOnnxRuntimeNode } = await import("${new URL("deps.ts", ROOT)}");
    await Promise.all([loadX509(), fetchOnnxRuntimeNode()]);`,
  ], { cwd: ROOT });
  if (code !== 0) throw new Error(`what ranks need cannot be fetched: ${stderr}`);
}

/** Makes hosts that see each other, and nothing else of the machine's network. */
export async function makeHosts(
  count: number,
  { ownNameIsLoopback = false, aliases = [] }: HostsOptions = {},
): Promise<Hosts> {
  await sweep();
  await (fetched ??= fetchWhatRanksNeed());
  const stem = `${PREFIX}-${++made}`, bridge = `${stem}-bridge`;
  const names = Array.from({ length: count }, (_, i) => `host-${String.fromCharCode(97 + i)}`);
  const file = (own: number) => [
    ...["127.0.0.1 localhost", "::1 localhost"],
    ...names.map((name, i) => `${i === own && ownNameIsLoopback ? "127.0.1.1" : v4(i)} ${name}`),
    ...aliases.map((name, i) => `${v4(i)} ${name}`),
  ];
  const namespaces = [bridge];
  const dispose = async () => {
    for (const namespace of namespaces) await remove(namespace);
  };
  try {
    await tool("ip", "netns", "add", bridge);
    await tool("ip", "-n", bridge, "link", "add", "br0", "type", "bridge");
    await tool("ip", "-n", bridge, "link", "set", "dev", "br0", "up");
    const all: Host[] = [];
    for (const [i, name] of names.entries()) {
      const namespace = `${stem}-${name}`, port = `port${i}`;
      namespaces.push(namespace);
      await tool("ip", "netns", "add", namespace);
      // Also what `ip netns exec` puts into the place of /etc/hosts.
      await Deno.mkdir(`/etc/netns/${namespace}`, { recursive: true });
      await Deno.writeTextFile(`/etc/netns/${namespace}/hosts`, file(i).join("\n") + "\n");
      const peer = ["peer", "name", port, "netns", bridge];
      await tool("ip", "link", "add", "eth0", "netns", namespace, "type", "veth", ...peer);
      await tool("ip", "-n", bridge, "link", "set", "dev", port, "master", "br0", "up");
      const here = ["-n", namespace];
      // Nobody else has these addresses, so nobody is asked before they are used.
      const off = "echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad";
      await tool("ip", "netns", "exec", namespace, "sh", "-c", off);
      for (const dev of ["lo", "eth0"]) await tool("ip", ...here, "link", "set", "dev", dev, "up");
      await tool("ip", ...here, "addr", "add", `${v4(i)}/24`, "dev", "eth0");
      await tool("ip", ...here, "addr", "add", `${v6(i)}/64`, "dev", "eth0");
      all.push(new NamespaceHost(name, v4(i), v6(i), namespace));
    }
    return { ...all, all, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Hosts that are loopback addresses of this machine, each known to ranks by its name. */
export function makeLoopbackHosts(count: number): Hosts {
  const all = Array.from({ length: count }, (_, i) => {
    const name = `host-${String.fromCharCode(97 + i)}`;
    return new LoopbackHost(name, `127.0.0.${2 + i}`);
  });
  return { ...all, all, [Symbol.asyncDispose]: async () => {} };
}

const v4 = (i: number) => `10.77.0.${i + 1}`;
const v6 = (i: number) => `fd77::${i + 1}`;

class NamespaceHost implements Host {
  constructor(
    readonly name: string,
    readonly address: string,
    readonly address6: string,
    private readonly namespace: string,
  ) {}

  start(args: readonly string[], options: HostCommand = {}): Running {
    const enter = [`--net=/run/netns/${this.namespace}`, "unshare", "--uts", "--mount"];
    const named = `mount --bind /etc/netns/${this.namespace}/hosts /etc/hosts &&
      hostname ${this.name} && exec "$@"`;
    // Each of these becomes the next one, so that all are one process.
    return start("nsenter", [...enter, "sh", "-c", named, "sh", ...args], options);
  }

  run(args: readonly string[], options?: HostCommand): Promise<Ended> {
    return this.start(args, options).ended;
  }

  async pids(): Promise<number[]> {
    return await processesIn(this.namespace);
  }

  async traffic(): Promise<Traffic> {
    const [link] = JSON.parse(await this.ip("-s", "-j", "link", "show", "dev", "eth0"));
    return { sent: link.stats64.tx.bytes, received: link.stats64.rx.bytes };
  }

  async shape(rate: string): Promise<void> {
    const tbf = ["tbf", "rate", rate, "burst", "64kb", "latency", "100ms"];
    await tool("tc", "-n", this.namespace, "qdisc", "replace", "dev", "eth0", "root", ...tbf);
  }

  async cut(): Promise<void> {
    await this.ip("link", "set", "dev", "eth0", "down");
  }

  private async ip(...args: string[]): Promise<string> {
    return await tool("ip", "-n", this.namespace, ...args);
  }
}

class LoopbackHost implements Host {
  readonly address6 = "";
  #started: Running[] = [];

  constructor(readonly name: string, readonly address: string) {}

  start(args: readonly string[], options: HostCommand = {}): Running {
    const env = { CELGC_HOST: this.name, ...options.env };
    const running = start(args[0], args.slice(1), { ...options, env });
    this.#started.push(running);
    return running;
  }

  run(args: readonly string[], options?: HostCommand): Promise<Ended> {
    return this.start(args, options).ended;
  }

  /** Those that were started here and have not ended; not what they have started. */
  async pids(): Promise<number[]> {
    const states = this.#started.map(({ ended, pid }) =>
      Promise.race([ended.then(() => []), Promise.resolve([pid])])
    );
    return (await Promise.all(states)).flat();
  }

  traffic(): Promise<Traffic> {
    return Promise.reject(new Error("nobody counts the bytes between loopback addresses"));
  }

  shape(): Promise<void> {
    return Promise.reject(new Error("loopback addresses share one device"));
  }

  cut(): Promise<void> {
    return Promise.reject(new Error("there is no cable between loopback addresses"));
  }
}

/** Starts a process and reads what it prints. */
function start(command: string, args: readonly string[], options: HostCommand): Running {
  const { env, input, cwd, limitMs = LONGEST_MS } = options;
  const child = new Deno.Command(command, {
    args: [...args],
    env: { NO_COLOR: "1", ...env },
    cwd,
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const kill = (signal: Deno.Signal) => {
    try {
      child.kill(signal);
    } catch {
      // It has ended.
    }
  };
  const timer = setTimeout(() => kill("SIGKILL"), limitMs);
  let all = "", over = false, changed = Promise.withResolvers<void>();
  const turn = () => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
    let own = "";
    for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
      own += piece;
      all += piece;
      turn();
    }
    return own;
  };
  const ended = (async () => {
    const streams = Promise.all([read(child.stdout), read(child.stderr)]);
    if (input !== undefined) {
      await new Blob([input]).stream().pipeTo(child.stdin).catch(() => {});
    }
    const { code } = await child.status;
    clearTimeout(timer);
    const [stdout, stderr] = await streams;
    over = true;
    turn();
    return { code, stdout, stderr };
  })();
  return {
    pid: child.pid,
    text: () => all,
    async printed(pattern) {
      for (;;) {
        const found = pattern.exec(all);
        if (found !== null) return found;
        if (over) throw new Error(`it ended and did not print ${pattern}:\n${all}`);
        await changed.promise;
      }
    },
    ended,
    kill,
  };
}

/** Waits until nothing runs on any of the hosts; returns what does after `ms`, as `host: command`. */
export async function leftOn(
  hosts: Hosts,
  ms: number,
  except: readonly number[] = [],
): Promise<string[]> {
  const until = performance.now() + ms;
  for (;;) {
    const found: string[] = [];
    for (const host of hosts.all) {
      for (const pid of await host.pids()) {
        const line = commandLine(pid);
        if (line !== null && !except.includes(pid)) found.push(`${host.name}: ${pid} ${line}`);
      }
    }
    if (found.length === 0 || performance.now() > until) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The command line of a process; null if it has ended, also where nobody has asked how. */
function commandLine(pid: number): string | null {
  try {
    const line = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
    return line === "" ? null : line.replaceAll("\0", " ").trim();
  } catch {
    return null;
  }
}

async function processesIn(namespace: string): Promise<number[]> {
  return (await tool("ip", "netns", "pids", namespace)).split("\n").filter(Boolean).map(Number);
}

/** Ends what runs in a namespace and takes it away. */
async function remove(namespace: string): Promise<void> {
  for (const pid of await processesIn(namespace).catch(() => [])) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
  await tool("ip", "netns", "del", namespace).catch(() => {});
  await Deno.remove(`/etc/netns/${namespace}`, { recursive: true }).catch(() => {});
}

/** Takes away the hosts of test runs that were killed. */
async function sweep(): Promise<void> {
  for (const line of (await tool("ip", "netns", "list")).split("\n")) {
    const [, name, pid] = /^(celgc-(\d+)-\S+)/.exec(line) ?? [];
    if (name === undefined) continue;
    const alive = await Deno.stat(`/proc/${pid}`).then(() => true, () => false);
    if (!alive) await remove(name);
  }
}

/** A test on hosts and in a temporary folder, skipped where there are none, or where what it needs besides is not there. */
export function onHosts(
  name: string,
  missing: string | null,
  fn: (hosts: Hosts, folder: string) => Promise<void>,
  options: HostsOptions = {},
): void {
  Deno.test({
    name: `${name}${missing === null ? namespacesNote : ` (skipped: ${missing})`}`,
    ignore: noNamespaces !== null || missing !== null,
    async fn() {
      await using folder = await temporaryFolder();
      await using hosts = await makeHosts(options.count ?? 2, options);
      await fn(hosts, folder.path);
    },
  });
}
