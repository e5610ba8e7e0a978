/**
 * Paths as URLs.
 *
 * @module
 */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

/** The URL of a path relative to this process's directory. */
export function toFileUrl(path: string): URL {
  return pathToFileURL(resolve(path));
}
