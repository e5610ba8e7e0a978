import { exchangesEveryStep, optionTexts } from "./labels.ts";

/** The options of a run on which figures depend, as far as its `config.json` says them. */
export interface RunOptions {
  readonly algorithm: string | null;
  /** Steps between two rounds, I: 1 for an algorithm that exchanges at every step. */
  readonly interval: number | null;
  readonly ranks: number | null;
}

/** Reads {@linkcode RunOptions} off a `config.json`. */
export function optionsOf(config: Readonly<Record<string, unknown>> | null): RunOptions {
  const texts = optionTexts(config);
  const number = (name: string) => {
    const text = texts.get(name);
    return text === undefined || text === "null" || Number.isNaN(+text) ? null : +text;
  };
  const algorithm = texts.get("algorithm");
  return {
    algorithm: algorithm ?? null,
    interval: exchangesEveryStep(algorithm) ? 1 : number("interval"),
    ranks: number("ranks"),
  };
}
