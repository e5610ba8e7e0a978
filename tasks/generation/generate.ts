/**
 * Text from a trained language model, token by token.
 *
 * @module
 */

import { join } from "node:path";
import { systemReason } from "../../runtime/base/system_error.ts";
import { encodeModel } from "../../models/mod.ts";
import { Random } from "../../runtime/base/random.ts";
import type { Device, DeviceState, Session } from "../../runtime/devices/device.ts";
import { parseTokenizer } from "../data/tokenizers/spec.ts";
import { type DeviceChoice, openDevice } from "../../runtime/devices/open.ts";
import { awdLstmOf } from "../networks/awd_lstm.ts";
import { gptOf, vocabularyOf } from "../networks/gpt.ts";
import { decoderGraph, weightsOf } from "../networks/graphs.ts";
import { matchWeights } from "../networks/state_dict.ts";
import { asOptionError } from "../options/as_option_error.ts";
import { OptionError } from "../options/kinds.ts";
import { isLanguageModel } from "../options/network_names.ts";
import { defaultOptions } from "../options/table.ts";
import type { Options } from "../options/values.ts";
import { FILES, INPUT_FILE_NAMES, readConfig } from "../run/folder.ts";
import { readWeights } from "../run/weights_source.ts";
import type { Decoder, TrainableModel } from "../task.ts";
import { drawToken } from "./sampling.ts";
import { jsonTokens } from "./json_tokens.ts";
import type { TextTokens } from "./text_tokens.ts";
import { wordTokens } from "./word_tokens.ts";

/** What to generate, and how. */
export interface GenerateOptions {
  /** What the text goes on from. @default {the beginning of a line} */
  readonly prompt?: string;
  /** How many tokens. @default {200} */
  readonly tokens?: number;
  /** What the logits are divided by; 0: always the most probable token. @default {1} */
  readonly temperature?: number;
  /** Only so many of the most probable tokens can be drawn; null: all. @default {null} */
  readonly topK?: number | null;
  /** Decides what is drawn. @default {1} */
  readonly seed?: number;
  /** Where the network runs. @default {"cpu"} */
  readonly device?: DeviceChoice;
  /** Is told of words of the prompt for which another token stands. */
  readonly onUnknown?: (words: readonly string[]) => void;
}

/** One token of a generated text. */
export interface GeneratedToken {
  /** Its number in the run's vocabulary. */
  readonly token: number;
  /** What it adds to the text, white space before it included; nothing yet where it is part of a character. */
  readonly text: string;
}

/**
 * Goes on with a text as a trained run predicts it: with the weights it ended with, else with the average over
 * the ranks of its last checkpoint. Equal options give equal text on one kind of device.
 *
 * An AWD-LSTM carries its state from token to token, a GPT the keys and values of the tokens before. A GPT whose
 * context is full goes on from the last half of it.
 *
 * @param run the folder of a run whose network is `awd-lstm` or `gpt`
 * @throws OptionError when the folder holds no such run, the prompt has words that the run does not know, or
 * the run's weights have diverged
 *
 * @example
 * ```ts ignore
 * import { generate } from "./generate.ts";
 * for await (const { text } of generate("runs/…", { prompt: "the", tokens: 20, topK: 5 })) {
 *   console.log(text);
 * }
 * ```
 */
export async function* generate(
  run: string,
  options: GenerateOptions = {},
): AsyncGenerator<GeneratedToken, void> {
  const { prompt = "", tokens = 200, temperature = 1, topK = null, seed = 1 } = options;
  const { text, model, weights } = await openRun(run);
  const { tokens: given, unknown } = text.encode(prompt);
  if (unknown.length > 0) options.onUnknown?.(unknown);
  await using device = await openDevice(options.device ?? "cpu");
  await using reader = await Reader.open(device, model, weights);
  const random = new Random(seed, "generate");
  const start = given.length > 0 ? given : [text.first];
  let logits = await reader.read(start);
  const decode = text.decoder(start);
  for (let i = 0; i < tokens; i++) {
    // A network may know more tokens than the text has.
    const known = logits.subarray(0, text.size);
    const token = asOptionError(run, () => drawToken(known, { temperature, topK }, random));
    yield { token, text: decode(token) };
    if (i + 1 < tokens) logits = await reader.read([token]);
  }
}

/** A run's network, its weights and its tokens. */
interface OpenedRun {
  readonly text: TextTokens;
  readonly model: TrainableModel & { readonly decoder?: Decoder };
  readonly weights: ReadonlyMap<string, Float32Array>;
}

async function openRun(run: string): Promise<OpenedRun> {
  const config = await readConfig(run).catch((cause) => {
    throw new OptionError(`${run} is no folder of a run: ${cause.message}`, { cause });
  });
  const options: Options = { ...defaultOptions(), ...config.options };
  if (config.own || !isLanguageModel(options.model)) {
    const name = config.own?.model ?? options.model;
    throw new OptionError(
      `${run}: its network, ${name}, is none that text is generated with; awd-lstm and gpt are`,
    );
  }
  const text = await readTokens(run, options);
  const words = vocabularyOf(options, text.size);
  const model = options.model === "gpt" ? gptOf(options, words) : awdLstmOf(options, words);
  const variables = weightsOf(model.build({ batchSize: 1, length: 1, mode: "eval" }));
  const { ties, weightName } = model as TrainableModel;
  const weights = matchWeights(variables, await readWeights(run, "generate"), {
    what: run,
    ...ties && { ties },
    weightName,
  });
  return { text, model, weights };
}

/** The tokens of a run: words, or what its `tokenizer.json` says. */
async function readTokens(run: string, { task, tokenizer }: Options): Promise<TextTokens> {
  const words = task !== "text" || parseTokenizer(tokenizer).kind === "words";
  const name = words ? FILES.vocabulary : INPUT_FILE_NAMES.tokenizer, path = join(run, name);
  let file: Uint8Array;
  try {
    file = await Deno.readFile(path);
  } catch (cause) {
    throw new OptionError(
      `${run}: its ${words ? "words" : "tokens"} are in ${name}, which cannot be read: ${
        systemReason(cause)
      }`,
      { cause },
    );
  }
  return words ? wordTokens(new TextDecoder().decode(file)) : await jsonTokens(file, path);
}

/** Reads a text token by token. It owns its session and states; the device is the caller's. */
class Reader implements AsyncDisposable {
  /** What has been read since the network last began anew. */
  #read: number[] = [];

  static async open(
    device: Device,
    model: TrainableModel,
    initial: ReadonlyMap<string, Float32Array>,
  ): Promise<Reader> {
    const { graph, weights, carries, updates } = decoderGraph(model);
    await using stack = new AsyncDisposableStack();
    const state = stack.use(await device.allocate(weights));
    await state.edit((flat) => {
      for (const { name } of weights) flat.set(initial.get(name)!, state.range(name).offset);
    });
    const carried = stack.use(await device.allocate(carries));
    const { kind: target, channelBlock, kernels } = device;
    const session = stack.use(
      await device.compile(encodeModel(graph, { target, channelBlock, kernels }), {
        state: [state, carried],
        updates,
        optimize: false,
      }),
    );
    return new Reader(session, carried, model.decoder!, stack.move());
  }

  private constructor(
    readonly session: Session,
    readonly carried: DeviceState,
    readonly decoder: Decoder,
    readonly owned: AsyncDisposableStack,
  ) {}

  /** Reads on; returns the logits of what comes after. */
  async read(tokens: readonly number[]): Promise<Float32Array> {
    const { context } = this.decoder;
    let logits = new Float32Array();
    const open = context === null ? [...tokens] : tokens.slice(-context);
    while (open.length > 0) {
      if (this.#read.length === context) {
        // What lies behind the positions is overwritten, and not seen until then.
        open.unshift(...this.#read.slice(context - Math.floor(context / 2)));
        this.#read = [];
      }
      const token = open.shift()!;
      const results = await this.session.run(this.decoder.feeds(token, this.#read.length));
      logits = results.logits.data as Float32Array<ArrayBuffer>;
      this.#read.push(token);
    }
    return logits;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.owned.disposeAsync();
  }
}
