/**
 * The kinds of options: how a value is read from text, checked, and described. The table of the options
 * themselves is in `table.ts`.
 *
 * @module
 */

import { levenshteinDistance } from "../../deps.ts";

/** A value that one option cannot have, whatever the others are. */
export interface OptionFault {
  /** As on the command line. */
  readonly flag: string;
  /** What the value must be, such as `a whole number from 1`. */
  readonly rule: string;
  /** What it was. */
  readonly value: unknown;
  /** The value that was probably meant; null if none comes near. */
  readonly meant?: string | null;
}

/** An option has a value it cannot have; the message is one line that names the option and the value. */
export class OptionError extends Error {
  /** The name of the class. */
  override readonly name = "OptionError";
  /** What one option cannot have; absent where options contradict each other, or a file is not to be had. */
  readonly fault?: OptionFault;

  /** Says what is wrong: in one line, or of a value that the one option cannot have. */
  constructor(what: string | OptionFault, options?: ErrorOptions) {
    super(typeof what === "string" ? what : describeFault(what), options);
    if (typeof what !== "string") this.fault = what;
  }
}

function describeFault({ flag, rule, value, meant = null }: OptionFault): string {
  // JSON knows no Infinity, and no bigint.
  const isNumber = typeof value === "number" || typeof value === "bigint";
  const shown = typeof value === "string"
    ? `"${value}"`
    : isNumber
    ? String(value)
    : JSON.stringify(value);
  return `${flag} must be ${rule}, not ${shown ?? String(value)}${hintOf(meant)}`;
}

/** One option: everything that the command line, the library, the logs and the sweeps know of it. */
export interface OptionSpec<T> {
  /** As on the command line, such as `--batch-size`. */
  readonly flag: string;
  /** What stands for the value in the help; null for a switch. */
  readonly placeholder: string | null;
  /** One phrase, without a full stop. */
  readonly help: string;
  /** Unit of the value, if it has one. */
  readonly unit?: string;
  /** The value when nothing is said; null if there is none. */
  readonly default: T;
  /** What the help shows instead of the default. */
  readonly defaultText?: string;
  /** Heading in the help. */
  readonly group: string;
  /** Whether it may be given several times; the texts are then joined by line feeds. */
  readonly repeats?: boolean;
  /**
   * Whether a value can have commas in it, and which texts are such values; a sweep then separates values by
   * semicolons alone.
   */
  readonly commas?: boolean | ((text: string) => boolean);
  /** Whether a value may be left out on the command line, which then stands for `true`. */
  readonly bare?: boolean;
  /** Reads a value from the command line. Throws {@linkcode OptionError}. */
  parse(text: string): T;
  /** Checks a value given in code or read from a file. Throws {@linkcode OptionError}. */
  check(value: unknown): T;
}

/** An option's kind for each value of a group. */
export type Table<Values> = { readonly [Name in keyof Values]: OptionSpec<Values[Name]> };

/** The headings of the help. */
export const GROUPS = {
  WHAT: "What to train",
  HOW: "How to step",
  WHO: "Ranks",
  HOSTS: "Several hosts",
  DATA: "Data",
  RUN: "The run",
  TEXT: "Texts and the awd-lstm network",
  GPT: "The gpt network",
} as const;

/** What every kind of option is told. */
interface About {
  flag: string;
  help: string;
  group: string;
  placeholder?: string;
  unit?: string;
  defaultText?: string;
  commas?: boolean;
}

/** A range of numbers; `over` excludes the limit, `from` includes it. */
interface Range {
  from?: number;
  over?: number;
  to?: number;
  below?: number;
}

function refuse(flag: string, rule: string, value: unknown): never {
  throw new OptionError({ flag, rule, value });
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** The number a text spells, or the text itself for `check` to refuse. */
const toNumber = (text: string): unknown => DECIMAL.test(text.trim()) ? Number(text) : text;

function describeRange({ from, over, to, below }: Range): string {
  return [
    from !== undefined && `from ${from}`,
    over !== undefined && `above ${over}`,
    to !== undefined && (from === undefined ? `at most ${to}` : `to ${to}`),
    below !== undefined && `below ${below}`,
  ].filter(Boolean).map((part) => ` ${part}`).join("");
}

function inRange(x: number, { from, over, to, below }: Range): boolean {
  return x >= (from ?? -Infinity) && x > (over ?? -Infinity) && x <= (to ?? Infinity) &&
    x < (below ?? Infinity);
}

/** A number option; `whole` allows integers only. */
function numeric<D extends number | null>(
  about: About & Range & { default: D; whole: boolean },
): OptionSpec<number | D> {
  const { flag, whole } = about;
  const must = `${whole ? "a whole number" : "a number"}${describeRange(about)}`;
  const check = (value: unknown): number => {
    const fits = typeof value === "number" && inRange(value, about) &&
      (whole ? Number.isSafeInteger(value) : Number.isFinite(value));
    return fits ? value as number : refuse(flag, must, value);
  };
  return {
    ...pick(about),
    placeholder: about.placeholder ?? "n",
    default: about.default,
    parse: (text) => check(toNumber(text)),
    check: (value) => value === null && about.default === null ? about.default : check(value),
  };
}

/** A whole number. */
export function integer<D extends number | null>(
  about: About & Range & { default: D },
): OptionSpec<number | D> {
  return numeric({ ...about, whole: true });
}

/** A real number. */
export function real<D extends number | null>(
  about: About & Range & { default: D },
): OptionSpec<number | D> {
  return numeric({ ...about, whole: false });
}

/** One of a few words. */
export function choice<const C extends readonly string[], D extends C[number] | null>(
  about: About & { choices: C; default: D },
): OptionSpec<C[number] | D> {
  const { flag, choices } = about;
  const check = (value: unknown): C[number] => {
    if (typeof value === "string" && choices.includes(value)) return value;
    const meant = typeof value === "string" ? closest(value, choices) : null;
    throw new OptionError({ flag, rule: `one of ${choices.join(", ")}`, value, meant });
  };
  return {
    ...pick({ ...about, help: `${about.help}: ${choices.join(", ")}` }),
    placeholder: about.placeholder ?? "name",
    default: about.default,
    parse: check,
    check: (value) => value === null && about.default === null ? about.default : check(value),
  };
}

/** A switch: off unless given. */
export function toggle(about: About): OptionSpec<boolean> {
  return {
    ...pick(about),
    placeholder: null,
    default: false,
    parse: () => true,
    check: (value) => typeof value === "boolean" ? value : refuse(about.flag, "a boolean", value),
  };
}

/** Free text; `normalise` may check it (throwing a RangeError) and spell it in one way. */
export function text<D extends string | null>(
  about: About & { default: D; normalise?: (text: string) => string },
): OptionSpec<string | D> {
  const check = (value: unknown): string => {
    if (value === "") return refuse(about.flag, "a text that is not empty", value);
    if (typeof value !== "string") return refuse(about.flag, "a text", value);
    try {
      return about.normalise?.(value) ?? value;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new OptionError(`${about.flag}: ${error.message}`, { cause: error });
    }
  };
  return {
    ...pick(about),
    placeholder: about.placeholder ?? "text",
    default: about.default,
    parse: check,
    check: (value) => value === null && about.default === null ? about.default : check(value),
  };
}

/** A list of numbers, written with commas; empty by default. */
export function numbers(about: About & Range): OptionSpec<readonly number[]> {
  const must = `numbers${describeRange(about)}, separated by commas`;
  const check = (value: unknown): readonly number[] => {
    const fits = Array.isArray(value) &&
      value.every((x) => typeof x === "number" && Number.isFinite(x) && inRange(x, about));
    return fits ? [...value] : refuse(about.flag, must, value);
  };
  return {
    ...pick(about),
    placeholder: about.placeholder ?? "n,n,…",
    commas: true,
    default: [],
    parse: (text) => {
      const parts = text.trim() === "" ? [] : text.split(",").map(toNumber);
      return parts.every((part) => typeof part === "number")
        ? check(parts)
        : refuse(about.flag, must, text);
    },
    check,
  };
}

/** NAME=VALUE pairs, one each time the option is given; none by default. */
export function pairs(about: About): OptionSpec<Readonly<Record<string, string>>> {
  const { flag } = about;
  const must = "NAME=VALUE";
  return {
    ...pick(about),
    placeholder: about.placeholder ?? "name=value",
    default: {},
    repeats: true,
    parse: (text) =>
      Object.fromEntries(
        text.split("\n").map((pair) => {
          const at = pair.indexOf("=");
          return at > 0 ? [pair.slice(0, at), pair.slice(at + 1)] : refuse(flag, must, pair);
        }),
      ),
    check: (value) => {
      const fits = typeof value === "object" && value !== null && !Array.isArray(value) &&
        Object.values(value).every((entry) => typeof entry === "string");
      return fits ? { ...value as Record<string, string> } : refuse(flag, "texts by name", value);
    },
  };
}

/** Texts, one each time the option is given; none by default. `normalise` as in {@linkcode text}. */
export function texts(
  about: About & { normalise: (text: string) => string },
): OptionSpec<readonly string[]> {
  const one = text({ ...about, default: null });
  const each = (values: readonly unknown[]) => values.map((value) => one.check(value) as string);
  return {
    ...pick(about),
    placeholder: about.placeholder ?? "text",
    default: [],
    repeats: true,
    parse: (given) => each(given.split("\n")),
    check: (value) => Array.isArray(value) ? each(value) : refuse(about.flag, "texts", value),
  };
}

function pick(
  about: About,
): Pick<About, "flag" | "help" | "group" | "unit" | "defaultText" | "commas"> {
  const { flag, help, group, unit, defaultText, commas } = about;
  return {
    flag,
    help,
    group,
    ...(unit === undefined ? {} : { unit }),
    ...(defaultText === undefined ? {} : { defaultText }),
    ...(commas === undefined ? {} : { commas }),
  };
}

/** What follows a message on a word that is not known, of the one that was meant, if any. */
export function hintOf(meant: string | null): string {
  return meant === null ? "" : ` (did you mean ${meant}?)`;
}

/** The candidate spelled most like a word, or the only one that begins or ends with it, if any comes near it. */
export function closest(word: string, candidates: readonly string[]): string | null {
  for (const has of ["startsWith", "endsWith"] as const) {
    const found = candidates.filter((each) => each.toLowerCase()[has](word.toLowerCase()));
    if (word.length >= 3 && found.length === 1) return found[0];
  }
  const near = candidates
    .map((candidate) => ({
      candidate,
      distance: levenshteinDistance(word.toLowerCase(), candidate.toLowerCase()),
    }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, candidate.length * 0.4))
    .sort((a, b) => a.distance - b.distance);
  return near[0]?.candidate ?? null;
}
