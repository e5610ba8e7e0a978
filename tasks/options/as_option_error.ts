/**
 * What a library refuses, said of the option that asked for it.
 *
 * @module
 */

import { OnnxFileError, OperatorError } from "../../models/mod.ts";
import { OptionError } from "./kinds.ts";

/**
 * Does something that an option asks for. What is refused by a RangeError, or is wrong with an ONNX file,
 * becomes an {@linkcode OptionError}, in one line without a stack; other errors go through. A promise is
 * treated alike.
 *
 * @param what the option with its value, before the message; null if the message names it
 */
export function asOptionError<T>(what: string | null, use: () => T): T {
  const convert = (error: unknown): never => {
    throw converted(what, error);
  };
  try {
    const result = use();
    return result instanceof Promise ? result.catch(convert) as T : result;
  } catch (error) {
    return convert(error);
  }
}

function converted(what: string | null, error: unknown): unknown {
  const known = [OnnxFileError, OperatorError, RangeError];
  if (!known.some((kind) => error instanceof kind)) return error;
  const message = messageOf(error as Error);
  return new OptionError(what === null ? message : `${what}: ${message}`, { cause: error });
}

/** The message, with the way out as the command line has it. */
function messageOf(error: Error): string {
  const symbol = error instanceof OnnxFileError ? error.openDimension : undefined;
  return symbol === undefined
    ? error.message
    : `${(error as OnnxFileError).problem}: give --dims ${symbol}=LENGTH`;
}
