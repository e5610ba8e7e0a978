/** The Kubernetes job of docs/launchers, as a parser that is not ours reads it. */

import { ROOT } from "../_helpers/deno.ts";
import { PYTHON } from "../_helpers/peers/python.ts";

const FILE = new URL("docs/launchers/indexed_job.yaml", ROOT).pathname;

/** Parses the file's two documents; as JSON on standard output. */
const SCRIPT = `import json, sys, yaml
json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)`;

/** The service and the job; null where Python has no YAML. */
// deno-lint-ignore no-explicit-any -- it is for the tests to say what is in it
export const indexedJob: { service: any; job: any } | null = await (async () => {
  try {
    const args = ["-c", SCRIPT, FILE];
    const { success, stdout } = await new Deno.Command(PYTHON, { args, stderr: "null" }).output();
    if (!success) return null;
    const [service, job] = JSON.parse(new TextDecoder().decode(stdout));
    return { service, job };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
})();

/** Why it cannot be read here; null if it can. */
export const noIndexedJob = indexedJob === null ? "python3-yaml is not installed" : null;

/** The environment of the job's container. */
export function containerEnvironment(): Record<string, string> {
  const [container] = indexedJob!.job.spec.template.spec.containers;
  return Object.fromEntries(
    container.env.map(({ name, value }: Record<string, string>) => [name, value]),
  );
}
