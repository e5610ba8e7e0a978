/**
 * A letter for each byte, as in GPT-2's vocabulary (Radford et al. 2019): bytes that are printable in Latin-1 are
 * their own, the others follow from U+0100 on.
 */
export const BYTE_LETTERS: readonly string[] = letters();

function letters(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const own = byte >= 0x21 && byte <= 0x7e || byte >= 0xa1 && byte <= 0xac || byte >= 0xae;
    return String.fromCharCode(own ? byte : next++);
  });
}

/**
 * What byte pairs are not joined across, as in GPT-2: words with the space before them, numbers, other signs,
 * white space.
 */
export const WORD_PATTERN =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;
