import { flatten } from "./labels.ts";

/** The options of a run on which figures depend, as far as its `config.json` says them. */
export interface RunOptions {
  readonly algorithm: string | null;
  /** Steps between two rounds, I: 1 for an algorithm that exchanges at every step. */
  readonly interval: number | null;
  readonly ranks: number | null;
}

/** Reads {@linkcode RunOptions} off a `config.json`, whose options may be nested. */
export function optionsOf(config: Readonly<Record<string, unknown>> | null): RunOptions {
  const flat = flatten(config ?? {});
  const number = (name: string) => {
    const text = flat.get(name);
    return text === undefined || text === "null" || Number.isNaN(+text) ? null : +text;
  };
  const algorithm = flat.get("algorithm") ?? null;
  const everyStep = algorithm === "naive-parallel" || algorithm === "single";
  return {
    algorithm,
    interval: everyStep ? 1 : number("interval"),
    ranks: number("ranks"),
  };
}
