/**
 * The page's modules as the text of one: a script that stands inside an HTML file can import nothing.
 *
 * Each module becomes a function of its own, called where the modules that import it can see what it
 * gives, so names in two files may be the same. That is all: nothing is renamed, dropped or made smaller,
 * and the same files give the same text. What the linker does not understand it refuses, by name.
 *
 * @module
 */

import { stripTypeScriptTypes } from "node:module";

/** Reads a module's source text, by its address. */
export type ReadModule = (url: string) => Promise<string>;

/** `import { a, b as c } from "./file.ts";`, the one form that is understood. */
const IMPORT = /(?<=^|^.*\*\/ )import\s*\{([^}]*)\}\s*from\s*"(\.{1,2}\/[^"]+)";?/gm;

/** `export function name`, `export const name` and so on; compilers put it behind its comment's end. */
const EXPORT = /(?<=^|^.*\*\/ )export\s+(?=(?:async\s+)?(?:function\*?|class|const)\s+([\w$]+))/gm;

/** What must not be left when both are gone. */
const OTHER = /(?<=^|^.*\*\/ )(?:import|export)\b.*|\bimport(?:\.meta|\s*\().*/m;

/**
 * Links a module with all that it imports.
 *
 * @param entry address of the module, as `import.meta.resolve` gives it
 * @param read by default whatever the runtime imports from: files, the web
 * @returns the text of a module without imports, which exports what `entry` does
 * @throws {SyntaxError} if a module imports or exports in another form than `import { a } from "./b.ts"`
 *   and `export function`, `const` or `class`; or if modules import each other in a circle
 */
export async function linkModules(entry: string, read: ReadModule = readSource): Promise<string> {
  const linked = new Map<string, string>();
  const texts: string[] = [];
  const exported = new Map<string, readonly string[]>();
  const open: string[] = [];

  async function link(url: string): Promise<string> {
    const known = linked.get(url);
    if (known !== undefined) return known;
    if (open.includes(url)) {
      throw new SyntaxError(`cannot link ${[...open, url].join(" → ")}: a circle of imports`);
    }
    open.push(url);
    const source = await read(url);
    let code = inModule(url, () => stripTypeScriptTypes(source));
    for (const [statement, names, path] of [...code.matchAll(IMPORT)]) {
      const from = await link(new URL(path, url).href);
      code = code.replace(
        statement,
        () => `const {${names.replaceAll(/\s+as\s+/g, ": ")}} = ${from};`,
      );
    }
    const exports = [...code.matchAll(EXPORT)].map(([, name]) => name);
    code = code.replaceAll(EXPORT, "");
    const other = OTHER.exec(code);
    if (other) throw new SyntaxError(`cannot link ${url}: "${other[0].trim()}" is not understood`);
    // Compiled, not run: what was misunderstood is found here and not in a browser.
    inModule(url, () => new Function(`"use strict";\n${code}\n`));
    open.pop();
    const name = `$${linked.size}`;
    linked.set(url, name);
    exported.set(url, exports);
    texts.push(
      `// ${new URL(url).pathname.split("/").at(-1)}\n` +
        `const ${name} = (() => {\n${code.trim()}\nreturn { ${exports.join(", ")} };\n})();\n`,
    );
    return name;
  }

  const name = await link(entry);
  return `${texts.join("\n")}\nexport const { ${exported.get(entry)!.join(", ")} } = ${name};\n`;
}

/** Names the module in an error. */
function inModule<T>(url: string, compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    throw new SyntaxError(`cannot link ${url}: ${(error as Error).message}`, { cause: error });
  }
}

/** A module as text, from wherever the runtime imports it: it asks for no more permission than that. */
async function readSource(url: string): Promise<string> {
  return (await import(url, { with: { type: "text" } })).default;
}
