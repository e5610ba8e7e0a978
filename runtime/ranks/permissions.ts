/**
 * What a rank may do: what the job itself needs, and what the caller allows, as Deno's flags.
 *
 * A permission has one spelling everywhere: Deno's flag without its `--allow-`, such as `net`,
 * `read=data,models` or `all`. A comma in a path is doubled.
 *
 * @module
 */

import { dirname } from "node:path";

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
  /** What the caller allows. */
  readonly allow: readonly string[];
}

const NAMES = ["all", "env", "ffi", "import", "net", "read", "run", "sys", "write"];

/** Permissions whose lists hold paths of folders or files. */
const OF_PATHS = ["read", "write", "ffi"];

/** A permission taken apart. */
interface Permission {
  readonly name: string;
  /** Null if it has no list: whatever there is. */
  readonly values: readonly string[] | null;
}

/**
 * Reads a permission such as `read=data,models`.
 *
 * @throws RangeError if it is none
 */
function parsePermission(text: string): Permission {
  const match = /^([a-z]+)(?:=(.+))?$/s.exec(text);
  if (match === null || !NAMES.includes(match[1])) {
    throw new RangeError(
      `a permission is one of ${NAMES.join(", ")}, or such a name, = and a list, such as ` +
        `read=data,models; not ${JSON.stringify(text)}`,
    );
  }
  const [, name, list] = match;
  return { name, values: list === undefined ? null : splitList(list) };
}

/**
 * The flags for `deno run`, the narrowest that work. Never asks the user.
 *
 * A list of Deno's cannot hold a path with a comma; the nearest folder above it that has none takes its
 * place.
 *
 * @throws RangeError if a permission is none, or cannot be spelled
 */
export function rankFlags(needs: RankNeeds): string[] {
  const allowed = new Map<string, Set<string> | "all">();
  const allow = (name: string, values: Iterable<string>) => {
    const before = allowed.get(name);
    if (before !== "all") allowed.set(name, new Set([...before ?? [], ...values]));
  };
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
  for (const { name, values } of needs.allow.map(parsePermission)) {
    if (values === null) allowed.set(name, "all");
    else allow(name, values);
  }
  // Deno takes no other permission beside all of them.
  if (allowed.has("all")) return ["--no-prompt", "--allow-all"];
  return ["--no-prompt", ...[...allowed].map(([name, values]) => format(name, values))];
}

function format(name: string, values: Set<string> | "all"): string {
  if (values === "all") return `--allow-${name}`;
  return `--allow-${name}=${
    [...new Set([...values].map((value) => spell(name, value)))].join(",")
  }`;
}

/** A value as it may stand in a list: one without a comma. */
function spell(name: string, value: string): string {
  if (!value.includes(",")) return value;
  let folder = value;
  while (OF_PATHS.includes(name) && folder.includes(",")) folder = dirname(folder);
  if (folder !== value && folder !== dirname(folder) || folder === ".") return folder;
  throw new RangeError(
    `cannot allow ${name} for ${
      JSON.stringify(value)
    }: Deno's lists of permissions cannot hold a ` +
      `comma${OF_PATHS.includes(name) ? ", and no folder above it has a name without one" : ""}; ` +
      "rename it",
  );
}

/** Splits a list; a comma inside a value is doubled. */
function splitList(text: string): string[] {
  return text.split(/(?<!,),(?!,)/).map((value) => value.replaceAll(",,", ","));
}

function hostAndPort({ hostname, port, protocol }: URL): string {
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}
