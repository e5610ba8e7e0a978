/**
 * What a command's help shows: at first what everybody needs, the rest by topic.
 *
 * @module
 */

import { closest, GROUPS, OptionError, type OptionSpec } from "../options/kinds.ts";
import { OPTIONS } from "../options/table.ts";

/** What everybody needs, by the options' names in code. */
const ESSENTIAL: readonly string[] = [
  "preset",
  "task",
  "model",
  "algorithm",
  "interval",
  "lr",
  "clip",
  "batchSize",
  "ranks",
  "device",
  "data",
  "download",
  "epochs",
  "maxSteps",
  "seed",
  "out",
  "resume",
  "json",
  "quiet",
];

/** The headings of the help by the word that asks for them. */
const TOPICS: Readonly<Record<string, string>> = {
  what: GROUPS.WHAT,
  step: GROUPS.HOW,
  ranks: GROUPS.WHO,
  data: GROUPS.DATA,
  run: GROUPS.RUN,
  lstm: GROUPS.TEXT,
  gpt: GROUPS.GPT,
};

/** The word that asks for everything. */
const ALL = "all";

/** Commands with fewer options show them all at once. */
const MANY = 40;

/** What a command's help ends with where it does not show everything. */
export const MORE: string = `More options, by topic: --help ${Object.keys(TOPICS).join(" | ")}; ` +
  `all of them: --help ${ALL}`;

/**
 * Whether help is asked for, and on what.
 *
 * @param args what follows the command's name
 * @param topics whether the command has topics; the help of others shows everything, whatever follows
 * @returns null if it is not; else the topic, null for what everybody needs
 * @throws OptionError for a topic that there is not
 */
export function helpAsked(
  args: readonly string[],
  topics: boolean,
): { topic: string | null } | null {
  const end = args.indexOf("--"), own = end < 0 ? args : args.slice(0, end);
  const at = own.findIndex((arg) => arg === "--help" || arg === "-h");
  if (at < 0) return null;
  const topic = own[at + 1];
  if (!topics || topic === undefined || topic.startsWith("-")) return { topic: null };
  const words = [...Object.keys(TOPICS), ALL];
  if (words.includes(topic)) return { topic };
  const meant = closest(topic, words);
  throw new OptionError({
    flag: "--help",
    rule: `one of ${words.join(", ")}`,
    value: topic,
    meant,
  });
}

/** Whether a command has so many options that its help shows some of them at first. */
export function hasTopics(options: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(options).length > MANY;
}

/**
 * Whether the help shows an option of a command that has topics.
 *
 * @param topic as {@linkcode helpAsked} gives it
 */
export function isShown(name: string, spec: OptionSpec<unknown>, topic: string | null): boolean {
  if (topic === ALL) return true;
  if (topic !== null) return spec.group === TOPICS[topic];
  return ESSENTIAL.includes(name) || !Object.hasOwn(OPTIONS, name);
}
