/**
 * Checks on the fields of messages.
 *
 * @module
 */

/** A value as an error has it. */
export function shown(value: unknown): string {
  return JSON.stringify(value) ?? "nothing";
}

/** @throws TypeError if it is no object */
export function fields(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError("a message is an object");
  }
  return value as Record<string, unknown>;
}

/** @throws TypeError if it is no list */
export function list(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`${name} is a list`);
  return value;
}

/** @throws TypeError if it is no text */
export function text(value: unknown, name: string): string {
  if (typeof value !== "string") throw new TypeError(`${name} is a text`);
  return value;
}

/** @throws TypeError if it is no number */
export function number(value: unknown, name: string): number {
  if (typeof value !== "number") throw new TypeError(`${name} is a number`);
  return value;
}

/** @throws TypeError if it is no integer from 0 */
export function integer(value: unknown, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw new TypeError(`${name} is an integer from 0, not ${shown(value)}`);
  }
  return value as number;
}

/** @throws TypeError if it is no list of texts */
export function texts(value: unknown, name: string): string[] {
  return list(value, name).map((part) => text(part, name));
}
