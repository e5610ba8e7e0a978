/**
 * The command line: commands and their options as data, parsed by commander. Commander is used here
 * and nowhere else.
 *
 * @module
 */

import { type Command, loadCommander, MissingPackageError, type Option } from "../../deps.ts";
import { firstError } from "../../runtime/base/errors.ts";
import { isSystemError } from "../../runtime/base/system_error.ts";
import { DataError } from "../data/data_error.ts";
import { hasTopics, helpAsked, isShown, MORE } from "./help_topics.ts";
import { closest, OptionError, type OptionSpec } from "../options/kinds.ts";
import { meantOption, type OptionName, OPTIONS } from "../options/table.ts";

/** Exit code of a command line that cannot be understood. */
const USAGE_ERROR = 2;

/** One command. */
export interface CommandSpec {
  readonly name: string;
  /** One phrase. */
  readonly summary: string;
  /** What stands after the options, in commander's notation, such as `[program] [args...]`. */
  readonly operands?: string;
  /** Printed below the options in the help. */
  readonly epilogue?: string;
  /** The options, by their names in code. */
  readonly options: Readonly<Record<string, OptionSpec<unknown>>>;
  /**
   * Does it.
   *
   * @param given the options that were given, by their names in code; no defaults
   * @param operands what stood after the options
   * @returns the exit code
   */
  run(given: Record<string, unknown>, operands: string[]): Promise<number>;
}

/**
 * Parses the arguments, runs the command they name, and reports what goes wrong: one line on standard
 * error, and exit code 2 for a command line that cannot be understood, 1 for bad data and what the system refuses.
 *
 * @returns the exit code
 */
export async function runCommandLine(
  name: string,
  version: string,
  commands: readonly CommandSpec[],
  given: readonly string[],
): Promise<number> {
  const commander = await loadCommander();
  const args = withoutHelpCommand(given);
  const command = commands.find((spec) => spec.name === args[0]);
  let code = 0, help: ReturnType<typeof helpAsked>;
  try {
    help = command ? helpAsked(args.slice(1), hasTopics(command.options)) : null;
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    return complain(name, error.message, USAGE_ERROR);
  }
  const program = new commander.Command(name).version(version).exitOverride();
  program.configureOutput({ outputError: () => {} });
  program.configureHelp({ showGlobalOptions: false });
  for (const spec of commands) {
    addCommand(commander, program, spec, help?.topic ?? null, async (given, operands) => {
      code = await firstError(
        spec.run(given, operands),
        (line) => console.error(`${name}: ${line}`),
      );
    });
  }
  try {
    await program.parseAsync(commanderArguments(args, command, help !== null), { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof commander.CommanderError) {
      if (error.exitCode === 0) return 0;
      if (error.code === "commander.help") return USAGE_ERROR;
      return complain(name, usageError(error, args, commands), USAGE_ERROR);
    }
    if (error instanceof OptionError) return complain(name, error.message, USAGE_ERROR);
    if (error instanceof DataError || error instanceof MissingPackageError) {
      return complain(name, error.message, 1);
    }
    // Such as an output that is full.
    if (isSystemError(error)) return complain(name, error.message, 1);
    throw error;
  }
}

/** `help launch step` asks for what `launch --help step` does; commander's own passes over what it does not know. */
function withoutHelpCommand(args: readonly string[]): readonly string[] {
  if (args[0] !== "help") return args;
  const [command, ...topic] = args.slice(1);
  return command === undefined ? ["--help"] : [command, "--help", ...topic];
}

/** What commander is to read: of what is no command it would show the help of all if that is asked for as well. */
function commanderArguments(
  args: readonly string[],
  command: CommandSpec | undefined,
  help: boolean,
): string[] {
  if (help) return [args[0], "--help"];
  const isWord = args.length > 0 && !args[0].startsWith("-");
  return command === undefined && isWord ? [args[0]] : [...args];
}

function complain(name: string, message: string, code: number): number {
  console.error(`${name}: ${message.replace(/\s*\n\s*/g, " ")}`);
  return code;
}

/** What to say of a command line that cannot be understood, with the way out. */
function usageError(
  { code, message }: { readonly code: string; readonly message: string },
  args: readonly string[],
  commands: readonly CommandSpec[],
): string {
  const text = message.replace(/^error: /, "");
  switch (code) {
    case "commander.unknownOption":
      return unknownOption(/'(.+?)'/.exec(message)?.[1] ?? "", args, commands);
    case "commander.unknownCommand":
      if (text.includes("Did you mean")) return text;
      return `${text}; the commands are ${commands.map(({ name }) => name).join(", ")}`;
    case "commander.missingArgument":
    case "commander.excessArguments":
      return `${text.replace(/\.$/, "")}; --help says what it takes`;
    default:
      return text;
  }
}

/**
 * What to say of an option that a command does not have, and which it may have been.
 *
 * @param flag as commander quotes it
 */
function unknownOption(
  flag: string,
  args: readonly string[],
  commands: readonly CommandSpec[],
): string {
  const options = commands.find(({ name }) => name === args[0])?.options ?? {};
  const ours = Object.keys(options).filter((name) => Object.hasOwn(OPTIONS, name));
  const meant = meantOption(flag, ours as OptionName[]);
  const near = meant === null
    ? closest(flag, Object.values(options).map((option) => option.flag))
    : options[meant].flag;
  const program = namesProgram(args) ? "; what belongs to the program itself stands behind --" : "";
  const wayOut = near === null ? "; --help lists them" : ` (Did you mean ${near}?)`;
  return `unknown option '${flag}'${program === "" || near !== null ? wayOut : ""}${program}`;
}

/** Whether a word is the path or URL of a program, whose own options are easily taken for ours. */
function namesProgram(args: readonly string[]): boolean {
  return args.some((arg) => /\.[cm]?[jt]sx?$/.test(arg));
}

type Commander = Awaited<ReturnType<typeof loadCommander>>;

function addCommand(
  commander: Commander,
  program: Command,
  spec: CommandSpec,
  topic: string | null,
  run: (given: Record<string, unknown>, operands: string[]) => Promise<void>,
): void {
  const command = program.command(spec.name).description(spec.summary);
  command.exitOverride().configureOutput({ outputError: () => {} });
  if (spec.operands) command.arguments(spec.operands);
  const topics = hasTopics(spec.options);
  const below = [
    ...topic === null && spec.epilogue ? [spec.epilogue] : [],
    ...topics ? [MORE] : [],
  ];
  if (below.length > 0) command.addHelpText("after", `\n${below.join("\n\n")}`);
  for (const [name, option] of Object.entries(spec.options)) {
    const ours = toCommander(commander, name, option);
    command.addOption(ours.hideHelp(topics && !isShown(name, option, topic)));
  }
  command.action(async (...parts: unknown[]) => {
    const operands = parts.slice(0, -2).flat().filter((part) => part !== undefined) as string[];
    await run(command.opts(), operands);
  });
}

/** The option as commander wants it. Its default stays out: what was not given must not be there. */
function toCommander(
  commander: Commander,
  name: string,
  spec: OptionSpec<unknown>,
): Option {
  const value = spec.bare ? `[${spec.placeholder}]` : `<${spec.placeholder}>`;
  const flag = spec.placeholder === null ? spec.flag : `${spec.flag} ${value}`;
  const option = new commander.Option(flag, describe(spec)).helpGroup(`${spec.group}:`);
  // Commander derives the name from the flag; the table's own name is the authority.
  option.attributeName = () => name;
  // It takes every --no-… for the opposite of another option.
  option.negate = false;
  let given = "";
  return spec.placeholder === null ? option : option.argParser((text: string) => {
    given = spec.repeats && given !== "" ? `${given}\n${text}` : text;
    return spec.parse(given);
  });
}

function describe({ help, unit, default: value, defaultText, placeholder }: OptionSpec<unknown>) {
  const notes = [
    unit && `unit: ${unit}`,
    placeholder !== null && `default: ${defaultText ?? String(value)}`,
  ].filter(Boolean);
  return notes.length ? `${help} (${notes.join(", ")})` : help;
}
