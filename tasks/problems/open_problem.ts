/**
 * What a run's options name: a model and a task, and where one depends on the other, in the right order.
 *
 * @module
 */

import type { DeviceKind } from "../../runtime/devices/device.ts";
import { generateImagesTogether } from "../data/images/generated_images.ts";
import type { LostRank, Worlds } from "../data/sampling/worlds.ts";
import { type ImageSplits, sideOf } from "../data/images/image_data_set.ts";
import { decodeInitial, startingFrom } from "../networks/initial_weights.ts";
import type { InputFiles } from "../run/inputs.ts";
import { imageOptions, imageSetOf } from "./image_sets.ts";
import { arrayTask } from "./array_task.ts";
import { openArrayProblem } from "./array_problem.ts";
import { imageTask } from "./image_task.ts";
import { awdLstmOf } from "../networks/awd_lstm.ts";
import { gptOf, vocabularyOf, windowLength } from "../networks/gpt.ts";
import { type DataShape, type FedTensor, imagesOf, windowsOf } from "../networks/data_shape.ts";
import { builtIn } from "./built_in.ts";
import { onnxFileModel } from "../networks/onnx_model.ts";
import { asOptionError } from "../options/as_option_error.ts";
import type { Options } from "../options/table.ts";
import { partOfArrays, partOfImages } from "../options/scale.ts";
import { type OncePerHost, PER_RANK } from "../../runtime/once_per_host.ts";
import type { Task, TrainableModel } from "../task.ts";
import { kindOf } from "../options/defaults.ts";
import { accumulated } from "./accumulated_task.ts";
import { awdLstmTask } from "./awd_lstm_task.ts";
import { readText } from "./read_text.ts";
import { windowTask } from "./window_task.ts";

/** What a run trains, and what it learns from. */
export interface Problem {
  readonly model: TrainableModel;
  readonly task: Task;
  /** The same task for other ranks; absent where the caller has given one that is not dealt out. */
  readonly taskFor?: TaskDealer;
  /** What the task reads from, to be let go when nobody asks it for batches any more; absent if that is memory. */
  readonly opened?: Disposable;
}

/**
 * Deals data out to ranks: a rank's view of it.
 *
 * @param place of the rank among those there are
 * @param worlds that the run has had, up to theirs
 */
export type TaskDealer = (place: number, worlds: Worlds) => Task;

/** What {@linkcode openProblem} takes instead of what the options name. */
export interface ProblemParts {
  readonly model?: TrainableModel;
  readonly task?: Task | TaskDealer;
  /** The files that the options name. */
  readonly files?: InputFiles;
  /** Who else needs the same data. @default {PER_RANK} */
  readonly sharing?: OncePerHost;
  /** The worlds that the run has had. @default {that of the options} */
  readonly worlds?: Worlds | undefined;
  /** Where this host's ranks make files that they alone read. @default {a temporary folder} */
  readonly folder?: string | undefined;
}

/** Makes the model for data of a shape, and for sequences of a length. */
type ModelOf = (data: DataShape, length?: number) => TrainableModel;

/**
 * Loads or generates the data of a run, and makes its model.
 *
 * @param target where its graphs will run
 * @param parts what is taken instead of what the options name
 * @throws DataError if the data is not as it should be
 * @throws OptionError if a file is not as it should be
 */
export async function openProblem(
  options: Options,
  rank: number,
  target: DeviceKind,
  parts: ProblemParts = {},
): Promise<Problem> {
  const { model, taskOf, opened } = await openParts(options, rank, target, parts);
  const worlds = parts.worlds?.length ? parts.worlds : [{ step: 0, ranks: options.ranks }];
  const taskFor: TaskDealer = (place, worlds) => {
    const { ranks } = worlds.at(-1)!,
      dealt = taskOf({ ...options, ranks }, place, inBatches(worlds));
    return accumulated(dealt, options.accumulate, options.batchSize);
  };
  const initial = parts.files?.initial;
  return orLetGo(opened, () => ({
    task: taskFor(rank, worlds),
    model: initial ? startingFrom(model, decodeInitial(initial), options.weights!) : model,
    ...typeof parts.task === "object" ? {} : { taskFor },
    ...opened ? { opened } : {},
  }));

  /** Data count in mini-batches. */
  function inBatches(worlds: Worlds): Worlds {
    const { accumulate } = options;
    const lost = (ranks: readonly LostRank[] = []) =>
      ranks.map(({ rank, since }) => ({ rank, since: since * accumulate }));
    return worlds.map((world) => ({
      ...world,
      step: world.step * accumulate,
      lost: lost(world.lost),
      lostAfter: lost(world.lostAfter),
    }));
  }
}

/** What is made of something that has been opened; where that throws, it is let go. */
function orLetGo<T>(opened: Disposable | undefined, make: () => T): T {
  using scope = new DisposableStack();
  if (opened) scope.use(opened);
  const made = make();
  scope.move();
  return made;
}

/** A model, and how the data is dealt out. */
interface OpenedParts extends Pick<Problem, "model" | "opened"> {
  /** @param options with the number of ranks there are */
  taskOf(options: Options, place: number, worlds: Worlds): Task;
}

async function openParts(
  options: Options,
  rank: number,
  target: DeviceKind,
  parts: ProblemParts,
): Promise<OpenedParts> {
  const { model, task, files, sharing } = parts;
  const modelOf: ModelOf = (data, length = 1) =>
    model ??
      (files?.model
        ? onnxFileModel(files.model, options.model, options, data, length)
        : builtIn(options, data));
  if (typeof task === "function") {
    const worlds = parts.worlds?.length ? parts.worlds : [{ step: 0, ranks: options.ranks }];
    const taskOf = (_: Options, place: number, worlds: Worlds) => task(place, worlds);
    return { taskOf, model: model ?? modelOf(...shapeOf(task(rank, worlds))) };
  }
  if (task) return { taskOf: () => task, model: model ?? modelOf(...shapeOf(task)) };
  if (kindOf(options.task) === "text") {
    return await openText(options, target, model || files?.model ? modelOf : null, parts);
  }
  if (kindOf(options.task) === "arrays") {
    const { arrays, fitting } = await openArrayProblem(options, files?.model ?? null, {
      model,
      sharing,
    });
    const part = partOfArrays(arrays, options.scale);
    return {
      model: fitting,
      taskOf: (options, place, worlds) => arrayTask(part, options, place, fitting, worlds),
    };
  }
  const images = await openImages(options, files?.model ?? null, sharing), { train } = images;
  const fitting = modelOf(imagesOf({ side: sideOf(train), classes: train.classes.length }));
  return {
    model: fitting,
    taskOf: (options, place, worlds) => imageTask(images, options, place, fitting, worlds),
  };
}

/** What a task feeds, and the steps of its sequences, read off its first batch. */
function shapeOf(task: Task): [DataShape, number | undefined] {
  const { feeds: { target, ...inputs }, length } = task.batch(1);
  const fed = (batchSize: number) =>
    Object.entries(inputs).map(([name, { type, dims }]): [string, FedTensor] => [name, {
      type: type === "float32" ? type : "int32",
      dims: [batchSize, ...dims.slice(1)],
    }]);
  const shape: DataShape = {
    name: "the task's batches",
    inputs: (batchSize) => Object.fromEntries(fed(batchSize)),
    target: (batchSize) => [batchSize, ...target.dims.slice(1)],
    targets: target.type === "float32" ? "float32" : "int32",
    classes: 0,
  };
  return [shape, length];
}

/** @param modelOf makes the model; null: it is the language model that the options describe */
async function openText(
  options: Options,
  target: DeviceKind,
  modelOf: ModelOf | null,
  parts: ProblemParts,
): Promise<OpenedParts> {
  const { splits, size, told, opened } = await readText(options, parts);
  const bptt = windowLength(options);
  const named = <T>(make: () => T) => asOptionError(`--task ${options.task}`, make);
  const make = () => {
    const words = vocabularyOf(options, size);
    const model = modelOf?.(windowsOf(size), bptt) ??
      (options.model === "gpt" ? gptOf(options, words) : null);
    const lstm = model ? null : awdLstmOf(options, words);
    const taskOf = (options: Options, place: number, worlds: Worlds): Task =>
      named(() => ({
        ...lstm
          ? awdLstmTask(splits, lstm, options, place, target, worlds)
          : windowTask(splits, { ...options, bptt }, place, model!, worlds),
        ...told,
      }));
    return { model: model ?? lstm!, taskOf };
  };
  return { ...orLetGo(opened, () => named(make)), ...opened ? { opened } : {} };
}

async function openImages(
  options: Options,
  file: Uint8Array | null,
  sharing = PER_RANK,
): Promise<ImageSplits> {
  const { task, seed, trainSize, testSize, data, scale } = options;
  const set = data === null ? null : imageSetOf({ task, data });
  if (set === null) {
    return await generateImagesTogether(sharing, { seed, train: trainSize, test: testSize });
  }
  const { name, train, test, valid } = await set.load(imageOptions(options, file), sharing);
  return {
    name,
    train: partOfImages(train, scale),
    test: partOfImages(test, scale),
    ...valid ? { valid: partOfImages(valid, scale) } : {},
  };
}
