/**
 * What a rank may do. Deno's flags for one rank: what the job itself needs, and what the caller adds.
 *
 * @module
 */

/** What the flags of a rank depend on. */
export interface RankNeeds {
  /** The program. */
  readonly program: URL;
  /** Hosts a rank talks to: the rendezvous and the other ranks. */
  readonly hosts: readonly string[];
  /** Directory of Unix sockets and the paths in it, or null. */
  readonly sockets: { readonly directory: string; readonly paths: readonly string[] } | null;
  /** Environment variables the caller passes to the ranks. */
  readonly variables: readonly string[];
  /** Files every rank reads, such as certificates. */
  readonly files: readonly string[];
  /** Modules of the runtime that are loaded beside the program. */
  readonly modules: readonly URL[];
  /** Deno flags of the caller: permissions are merged, others are passed on. */
  readonly flags: readonly string[];
}

const SHORT: Record<string, string> = {
  A: "all",
  E: "env",
  I: "import",
  N: "net",
  R: "read",
  S: "sys",
  W: "write",
};

/** The flags for `deno run`, the narrowest that work. Never asks the user. */
export function rankFlags(needs: RankNeeds): string[] {
  const allowed = new Map<string, Set<string> | "all">();
  const allow = (name: string, values: Iterable<string>) => {
    const before = allowed.get(name);
    if (before !== "all") allowed.set(name, new Set([...before ?? [], ...values]));
  };
  const others: string[] = [];
  allow("net", needs.hosts.map((host) => host.includes(":") ? `[${host}]` : host));
  allow("env", ["CELGC_*", ...needs.variables]);
  if (needs.files.length > 0) allow("read", needs.files);
  if (needs.sockets !== null) {
    allow("read", [needs.sockets.directory]);
    allow("write", [needs.sockets.directory]);
    allow("net", needs.sockets.paths.map((path) => `unix:${path}`));
  }
  const remote = [needs.program, ...needs.modules].filter(({ protocol }) =>
    /^https?:$/.test(protocol)
  );
  // Without this flag Deno allows its own list of hosts; naming one replaces the list.
  if (remote.length > 0) allow("import", remote.map(hostAndPort));

  for (const flag of needs.flags) {
    const match = /^(?:--allow-([a-z]+)|-([AEINRSW]))(?:=(.*))?$/.exec(flag);
    const name = match?.[1] ?? SHORT[match?.[2] ?? ""];
    if (match === null || name === undefined) others.push(flag);
    else if (match[3] === undefined) allowed.set(name, "all");
    else allow(name, splitList(match[3]));
  }
  const flags = ["--no-prompt", ...others];
  // Deno takes no other permission beside all of them.
  if (allowed.has("all")) return [...flags, "--allow-all"];
  for (const [name, values] of allowed) flags.push(format(name, values));
  return flags;
}

function format(name: string, values: Set<string> | "all"): string {
  if (values === "all") return `--allow-${name}`;
  return `--allow-${name}=${[...values].map((value) => value.replaceAll(",", ",,")).join(",")}`;
}

/** Splits a list as Deno does: a comma inside a value is doubled. */
function splitList(text: string): string[] {
  return text.split(/(?<!,),(?!,)/).map((value) => value.replaceAll(",,", ","));
}

function hostAndPort({ hostname, port, protocol }: URL): string {
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}
