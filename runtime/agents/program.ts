/**
 * The program of a job, as hosts tell each other which one it is.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { StartMessage } from "./messages.ts";

/** The folder of the runtime and of what lies around it. */
const OWN_ROOT = new URL(import.meta.resolve("../../"));

/**
 * The program on this host.
 *
 * @throws Error if it is not here, or is another one
 */
export async function findProgram({ program, hash }: StartMessage): Promise<URL> {
  const url = program.kind === "own" ? new URL(program.value, OWN_ROOT) : new URL(program.value);
  if (url.protocol !== "file:" || hash === null) return url;
  const path = decodeURIComponent(url.pathname);
  let text: Uint8Array;
  try {
    text = await Deno.readFile(url);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      `there is no program ${path} on this host: put it at the same path, or name it by a URL`,
    );
  }
  if (hashOf(text) === hash) return url;
  throw new Error(`${path} on this host is not the coordinator's: run the same program everywhere`);
}

/** How the coordinator names a program to its agents. */
export async function describeProgram(
  program: URL,
): Promise<Pick<StartMessage, "program" | "hash">> {
  const { href } = program;
  const hash = program.protocol === "file:" ? hashOf(await Deno.readFile(program)) : null;
  if (href.startsWith(OWN_ROOT.href) && !isUsers(href)) {
    return { program: { kind: "own", value: href.slice(OWN_ROOT.href.length) }, hash };
  }
  return { program: { kind: program.protocol === "file:" ? "path" : "url", value: href }, hash };
}

/** Whether a program that lies below our root is no part of us, as in a project's folder of packages. */
function isUsers(href: string): boolean {
  return !/^(?:runtime|tasks)\//.test(href.slice(OWN_ROOT.href.length));
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
