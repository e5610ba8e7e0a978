/** No piece is shorter, but for the last. */
const LEAST = 2 ** 16;
/** A piece without white space is cut here anyway. */
const MOST = 2 ** 20;

/**
 * Cuts a text into pieces that end before white space, of at least 65,536 characters where there is any within the
 * next million: where they are cut depends on the text alone, not on the pieces it comes in. What GPT-2's pattern
 * takes for a word never reaches over such a cut.
 *
 * @param text in pieces that cut no character
 */
export async function* wholeWords(text: AsyncIterable<string>): AsyncGenerator<string, void> {
  let open = "", searched = LEAST;
  for await (const piece of text) {
    open += piece;
    for (let cut = findCut(open, searched); cut !== null; cut = findCut(open, LEAST)) {
      yield open.slice(0, cut);
      open = open.slice(cut);
    }
    // What has been searched is not searched again; its last character may be one half of a pair.
    searched = Math.max(LEAST, open.length - 1);
  }
  if (open !== "") yield open;
}

/** The first place from `from` on where white space follows something else; null if that may be yet to come. */
function findCut(text: string, from: number): number | null {
  for (let at = from; at < Math.min(text.length, MOST); at++) {
    if (isSpace(text, at) && !isSpace(text, at - 1)) return at;
  }
  if (text.length <= MOST) return null;
  const low = text.charCodeAt(MOST) & 0xfc00;
  return low === 0xdc00 ? MOST - 1 : MOST;
}

function isSpace(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code <= 32 ? code === 32 || code >= 9 && code <= 13 : code >= 0x80 && /\s/.test(text[at]);
}
