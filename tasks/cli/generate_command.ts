import { choice, integer, real, text } from "../options/kinds.ts";
import { OPTIONS } from "../options/table.ts";
import { generate, type GenerateOptions } from "../generation/generate.ts";
import { DEVICE_CHOICES } from "../../runtime/devices/open.ts";
import type { CommandSpec } from "./command_line.ts";

const TEXT = "The text";

const OWN = {
  prompt: text({
    flag: "--prompt",
    group: TEXT,
    help:
      "what the text goes on from; a word that the run does not know is <unk> where its text has " +
      "that, and refused where not",
    default: null,
    defaultText: "the beginning of a line",
    placeholder: "text",
    commas: true,
  }),
  tokens: integer({
    flag: "--tokens",
    group: TEXT,
    help: "how many tokens to generate",
    unit: "tokens",
    from: 1,
    default: 200,
  }),
  temperature: real({
    flag: "--temperature",
    group: TEXT,
    help:
      "what the logits are divided by: below 1 bolder, above 1 more varied; 0 always takes the most " +
      "probable token",
    from: 0,
    default: 1,
  }),
  topK: integer({
    flag: "--top-k",
    group: TEXT,
    help: "draw among this many of the most probable tokens alone",
    unit: "tokens",
    from: 1,
    default: null,
    defaultText: "all of them",
  }),
  seed: {
    ...OPTIONS.seed,
    group: TEXT,
    help: "decides what is drawn",
    default: 1,
    defaultText: "1",
  },
  device: choice({
    flag: "--device",
    group: TEXT,
    help: "where the network runs",
    choices: DEVICE_CHOICES,
    default: "cpu",
  }),
  json: {
    ...OPTIONS.json,
    group: TEXT,
    help: "print one JSON object when all is drawn, and nothing else on standard output",
  },
} as const;

/** `generate RUN`: goes on with a text as a trained run predicts it. */
export const generateCommand: CommandSpec = {
  name: "generate",
  summary: "go on with a text as a trained language model predicts it",
  operands: "<run>",
  epilogue: "RUN is the folder of a run whose network is awd-lstm or gpt.",
  options: OWN,
  async run(given, [run]) {
    const { json = false, ...options } = given as GenerateOptions & { json?: boolean };
    const onUnknown = (words: readonly string[]) =>
      console.error(
        `note: <unk> stands for ${words.map((word) => JSON.stringify(word)).join(", ")}`,
      );
    const start = performance.now(), tokens: number[] = [];
    let whole = "";
    const prompt = options.prompt ?? "";
    for await (const { token, text } of generate(run, { ...options, onUnknown })) {
      // A prompt may end with white space of its own.
      const added = tokens.length === 0 && /(^|\s)$/.test(prompt) ? text.replace(/^ /, "") : text;
      if (!json) await print(tokens.length === 0 ? prompt + added : added);
      tokens.push(token);
      whole += added;
    }
    const seconds = (performance.now() - start) / 1000;
    if (json) console.log(JSON.stringify({ run, prompt, text: whole, tokens, seconds }, null, 2));
    else if (!whole.endsWith("\n")) await print("\n");
    return 0;
  },
};

const encoder = new TextEncoder();

/** Writes at once, whoever reads: a terminal, a file or a pipe. One that reads no more ends it. */
async function print(text: string): Promise<void> {
  let bytes = encoder.encode(text);
  try {
    while (bytes.length > 0) bytes = bytes.subarray(await Deno.stdout.write(bytes));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(0);
    throw error;
  }
}
