/** A text in pieces of so many characters each. */
export async function* pieces(text: string, size = Infinity): AsyncGenerator<string> {
  const characters = [...text];
  for (let at = 0; at < characters.length; at += size) {
    yield characters.slice(at, at + size).join("");
    await Promise.resolve();
  }
}

/** Everything that comes, one after another. */
export async function joined(parts: AsyncIterable<ArrayLike<number>>): Promise<number[]> {
  const all: number[] = [];
  for await (const part of parts) all.push(...Array.from(part));
  return all;
}
