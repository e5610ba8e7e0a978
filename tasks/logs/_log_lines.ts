import { NUMBERS, REQUIRED } from "./records.ts";

/** One line of `metrics.jsonl` as an object; `type` tells which. */
export type LogLine = { readonly type: string } & Readonly<Record<string, unknown>>;

/** A line that could not be read. `line` counts from 1. */
export interface DamagedLine {
  readonly line: number;
  readonly reason: string;
}

/**
 * What a line of the log turned out to be: a record, damage (and why), or nothing (a blank line).
 */
export type ParsedLine =
  | { readonly record: LogLine; readonly damage?: undefined }
  | { readonly record?: undefined; readonly damage: string }
  | { readonly record?: undefined; readonly damage?: undefined };

/** Reads one line of `metrics.jsonl`. Never throws. */
export function parseLogLine(text: string): ParsedLine {
  if (text.trim() === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { damage: `not JSON (${excerpt(text)})` };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { damage: `not an object (${excerpt(text)})` };
  }
  const record = value as Record<string, unknown>;
  if (typeof record.type !== "string") return { damage: 'no "type"' };
  if (Object.hasOwn(NUMBERS, record.type)) {
    for (const field of REQUIRED) {
      if (typeof record[field] !== "number") {
        return { damage: `a ${record.type} needs the number "${field}"` };
      }
    }
  }
  return { record: record as LogLine };
}

function excerpt(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
