/**
 * The project's files, what each imports and what of that is left when types are erased. Imports are
 * those that Deno itself finds, so that neither comments nor strings count.
 */

/** The folder of the whole project. */
export const ROOT = new URL("../../", import.meta.url);

/** One file's arrows to other files of the project; paths are relative to {@linkcode ROOT}. */
export interface Source {
  readonly path: string;
  readonly text: string;
  /** What is imported for its types or its values. */
  readonly imports: ReadonlySet<string>;
  /** What must be evaluated before this file: imports of values. */
  readonly values: ReadonlySet<string>;
  /** What is started or read by its path: `import.meta.resolve("…")`, `new URL("…", import.meta.url)`. */
  readonly references: ReadonlySet<string>;
  /** Specifiers that lead out of the project, `node:` apart. */
  readonly outside: readonly string[];
}

/** Folders of the project that hold its files. */
const TOPS = ["runtime", "models", "optimizers", "tasks", "tests", "docs"];

/** Every file below the top folders, and those at the top. */
export function allFiles(): string[] {
  const files: string[] = [];
  const walk = (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
      if (name.startsWith(".") || name === "node_modules" || name === "__pycache__") continue;
      if (isDirectory) walk(`${folder}${name}/`);
      else files.push(folder + name);
    }
  };
  for (const { name, isDirectory } of Deno.readDirSync(ROOT)) {
    if (!isDirectory) files.push(name);
    else if (TOPS.includes(name)) walk(`${name}/`);
  }
  return files.sort();
}

interface Dependency {
  readonly specifier: string;
  readonly code?: { readonly specifier?: string; readonly error?: string };
  readonly type?: { readonly specifier?: string; readonly error?: string };
}

/** The modules that Deno finds from `roots`, each with its dependencies. */
export async function moduleGraph(
  roots: readonly string[],
): Promise<Map<string, readonly Dependency[]>> {
  const list = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const lines = roots.map((path) => `import ${JSON.stringify(new URL(path, ROOT).href)};`);
    await Deno.writeTextFile(list, lines.join("\n"));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--no-lock", list],
    }).output();
    if (!success) throw new Error(`cannot read the graph: ${new TextDecoder().decode(stderr)}`);
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
      modules: { specifier: string; dependencies?: Dependency[] }[];
    };
    return new Map(modules.map(({ specifier, dependencies = [] }) => [specifier, dependencies]));
  } finally {
    await Deno.remove(list);
  }
}

/** A module's path in the project, or null if it is not of the project. */
function within(specifier: string | undefined): string | null {
  return specifier?.startsWith(ROOT.href) ? specifier.slice(ROOT.href.length) : null;
}

/** Reads every TypeScript file of the project. */
export async function readSources(): Promise<Map<string, Source>> {
  const paths = allFiles().filter((path) => /\.ts$/.test(path));
  const graph = await moduleGraph(paths);
  return new Map(paths.map((path) => {
    const url = new URL(path, ROOT), text = Deno.readTextFileSync(url);
    const imports = new Set<string>(), values = new Set<string>(), references = new Set<string>();
    const outside: string[] = [];
    for (const { specifier, code, type } of graph.get(url.href) ?? []) {
      const target = within(code?.specifier ?? type?.specifier);
      if (target !== null) {
        imports.add(target);
        if (code !== undefined) values.add(target);
      } else if (!specifier.startsWith("node:")) outside.push(specifier);
    }
    // A path in a comment is no reference: those lines begin with a star or two slashes.
    const code = text.replaceAll(/^\s*(\*|\/\*|\/\/).*$/gm, "");
    const named =
      /import\.meta\.resolve\(\s*"(\.[^"]*)"|new URL\(\s*"(\.[^"]*)",\s*import\.meta\.url/g;
    for (const [, resolved, joined] of code.matchAll(named)) {
      const target = within(new URL(resolved ?? joined, url).href);
      if (target !== null) references.add(target);
    }
    return [path, { path, text, imports, values, references, outside }];
  }));
}

/** The groups of more than one file in which each leads to each other by `arrows`. */
export function circles(
  files: Iterable<string>,
  arrows: (file: string) => Iterable<string>,
): string[][] {
  // Tarjan, "Depth-first search and linear graph algorithms" (1972).
  const order = new Map<string, number>(), low = new Map<string, number>();
  const stack: string[] = [], onStack = new Set<string>(), found: string[][] = [];
  const visit = (file: string) => {
    order.set(file, order.size);
    low.set(file, order.get(file)!);
    stack.push(file);
    onStack.add(file);
    for (const next of arrows(file)) {
      if (!order.has(next)) visit(next);
      if (onStack.has(next)) low.set(file, Math.min(low.get(file)!, low.get(next)!));
    }
    if (low.get(file) !== order.get(file)) return;
    const group: string[] = [];
    let last: string;
    do {
      last = stack.pop()!;
      onStack.delete(last);
      group.push(last);
    } while (last !== file);
    if (group.length > 1) found.push(group.sort());
  };
  for (const file of files) if (!order.has(file)) visit(file);
  return found;
}

/** The folder that a file or folder lies in, with a slash at its end; "" at the top. */
export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/", path.length - 2) + 1);
}

/** All that is loaded with `path`, for its values and those of what it imports; itself included. */
export async function loadedWith(path: string): Promise<string[]> {
  const graph = await moduleGraph([path]), seen = new Set<string>();
  const visit = (specifier: string) => {
    if (seen.has(specifier)) return;
    seen.add(specifier);
    for (const { code } of graph.get(specifier) ?? []) {
      if (code?.specifier?.startsWith("file:")) visit(code.specifier);
    }
  };
  visit(new URL(path, ROOT).href);
  return [...seen].map((specifier) => within(specifier) ?? specifier).sort();
}
