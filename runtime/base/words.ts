/**
 * Counts in words.
 *
 * @module
 */

/** So many of something: "1 rank", "4 ranks". */
export function counted(count: number, noun: string, several = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : several}`;
}
