/**
 * A run's model card: a `README.md` in its folder that says what was trained, on what, how, and what came of
 * it, so that the folder can be published as it is. Its head is the one of model cards on the Hugging Face
 * Hub (https://huggingface.co/docs/hub/model-cards).
 *
 * @module
 */

import { join } from "node:path";
import { platform } from "../../../runtime/base/platform.ts";
import type { Summary } from "../../logs/records.ts";
import { argumentsOf, quoteArguments } from "./command_of.ts";
import { kindOf } from "../../options/defaults.ts";
import { isModelFile, modelName } from "../../options/network_names.ts";
import type { Options } from "../../options/table.ts";
import { FILES, INPUT_FILE_NAMES, type RunConfig } from "../folder.ts";
import { replaceFile } from "../write_error.ts";
import type { ImageInput } from "../../task.ts";
import { summaryRows } from "./summary_text.ts";

/** Name of the card in a run's folder. */
const CARD_FILE = "README.md";

/** By this line a card is known as written by a run, and may be written anew. */
const MARK =
  "<!-- Written by celgc at the end of the run; without this line it is left as it is. -->";

/** Writes the card of a finished run. A `README.md` that no run has written is left as it is. Throws WriteError. */
export async function writeModelCard(
  directory: string,
  config: RunConfig,
  summary: Summary,
): Promise<void> {
  const path = join(directory, CARD_FILE);
  try {
    const text = new TextDecoder().decode(await platform.readFile(path));
    if (!text.includes(MARK)) return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await replaceFile(path, modelCard(config, summary));
}

/** The text of a card. */
export function modelCard(config: RunConfig, summary: Summary): string {
  const { options, plan, versions, own, started, commit } = config;
  const model = own?.model ?? modelName(options.model);
  const task = own?.task ? "data of its own" : options.task;
  const ranks = summary.ranks === 1 ? "one rank" : `${summary.ranks} ranks`;
  const facts: [string, string][] = plan
    ? [
      ["network", `${model}, ${grouped(plan.parameters)} trained weights`],
      [
        "data",
        `${task}: ${grouped(plan.trainSamples)} training ${unitOf(config)}, ${
          grouped(plan.testSamples)
        } to test`,
      ],
      ...plan.images ? imageFacts(plan.images) : [],
      ["initial weights", `SHA-256 ${plan.initialWeights}`],
    ]
    : [["network", model], ["data", task]];
  const source = commit === undefined ? "" : `, commit ${commit}`;
  return `---
library_name: onnx
tags: [${[...new Set(["celgc", options.algorithm, tagOf(config, summary)])].join(", ")}]
---

${MARK}

# ${model} on ${task}

Trained by celgc on ${ranks}, with the algorithm ${options.algorithm}, from ${started}.

## What it is

${table(facts)}

\`${FILES.model}\` is the network with these weights, for any onnxruntime; \`${FILES.weights}\` holds the
weights alone. \`${FILES.metrics}\` is the log of the run, \`${FILES.config}\` every option.

## What came of it

${table(summaryRows(summary, options))}

All weights together (little-endian float32) have the SHA-256 \`${summary.weightsHash}\`.

## How it was made

${own ? "The network or the data were given by a program. Its options:" : "The options of the run:"}

    celgc launch ${quoteArguments(argumentsOf(withCopies(options)))}

celgc ${versions.celgc}${source}; ${
    Object.entries(versions).filter(([name]) => name !== "celgc")
      .map(([name, version]) => `${name} ${version}`).join(", ")
  }.
`;
}

/** What whoever feeds a classifier of images, and reads its scores, has to know. */
function imageFacts({ side, classes, mean, std }: ImageInput): [string, string][] {
  const channels = (numbers: ImageInput["mean"]) => numbers.map((n) => n.toFixed(4)).join(", ");
  const named = classes.length <= MOST_NAMED
    ? `${classes.join(", ")}; in the order of the scores`
    : `${classes.length}, which ${FILES.config} names in the order of the scores`;
  return [
    [
      "takes",
      `[samples, 3, ${side}, ${side}]: red, green and blue from 0 to 1, less the means ` +
      `${channels(mean)}, over the deviations ${channels(std)}`,
    ],
    ["classes", named],
  ];
}

/** More classes than these are not read in a card. */
const MOST_NAMED = 100;

/** The options with the files that the run has taken with it named as they are in its folder. */
const withCopies = (options: Options): Options => ({
  ...options,
  model: isModelFile(options.model) ? INPUT_FILE_NAMES.model : options.model,
  weights: options.weights === null ? null : INPUT_FILE_NAMES.initial,
});

const grouped = (count: number) => count.toLocaleString("en-US");

const unitOf = ({ options, own }: RunConfig) => own?.task ? "samples" : UNITS[kindOf(options.task)];

const UNITS = { text: "tokens", images: "images", arrays: "samples" } as const;

function tagOf({ options, own }: RunConfig, { testRmse }: Summary): string {
  if (own?.task) return "distributed-training";
  const tabular = testRmse === undefined ? "tabular-classification" : "tabular-regression";
  return { text: "text-generation", images: "image-classification", arrays: tabular }[
    kindOf(options.task)
  ];
}

/** Rows as a table of Markdown without headings. */
function table(rows: readonly (readonly [string, string])[]): string {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  return [
    "| | |",
    "| --- | --- |",
    ...rows.map(([name, value]) => `| ${cell(name)} | ${cell(value)} |`),
  ].join("\n");
}
