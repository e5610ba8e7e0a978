/**
 * The data sets, how they are divided among ranks, and the order in which they are read. All of it is a
 * pure function of seeds, ranks and steps, except the loaders, which read files, and the downloaders.
 *
 * @module
 */

export {
  augmentBatch,
  type AugmentOptions,
  batchLabels,
  normaliseBatch,
} from "./images/augment.ts";
export { CIFAR10_MEAN, CIFAR10_STD, loadCifar10, loadCifar100 } from "./images/cifar10.ts";
export { DataError } from "./data_error.ts";
export {
  type DownloadOptions,
  type DownloadProgress,
  type RemoteFile,
} from "./sources/download.ts";
export { type GeneratedImagesOptions, generateImages } from "./images/generated_images.ts";
export {
  type GeneratedText,
  type GeneratedTextOptions,
  generateText,
} from "./text/generated_text.ts";
export {
  channelStatistics,
  IMAGE_SIDE,
  type ImageDataSet,
  type ImageSplits,
  type Labels,
} from "./images/image_data_set.ts";
export {
  formatPartition,
  parsePartition,
  type Partition,
  partitionImages,
  type PartitionImagesOptions,
  partitionTokens,
  type TokenRange,
} from "./sampling/partition.ts";
export {
  createImageSampler,
  type EvaluationBatch,
  evaluationBatches,
  type ImageSamplerOptions,
  type Sampler,
} from "./sampling/sampler.ts";
export type { LostRank, Worlds, WorldSince } from "./sampling/worlds.ts";
export {
  CIFAR100_SOURCE,
  CIFAR10_SOURCE,
  type DataSource,
  downloadCifar10,
  downloadCifar100,
  downloadPennTreebank,
  downloadWikiText2,
  type FetchOptions,
  PENN_TREEBANK_SOURCE,
  type SourceDownload,
  type SourceFile,
  WIKITEXT2_SOURCE,
} from "./sources/sources.ts";
export { loadTextCorpus, type TextCorpus, type TextSplit, tokenize } from "./text/text_corpus.ts";
export {
  createTextSampler,
  type TextSampler,
  type TextSamplerOptions,
  type TextWindow,
} from "./text/text_sampler.ts";
export type { Tokens, TokenSplits } from "./text/tokens.ts";
export { Vocabulary } from "./tokenizers/vocabulary.ts";
export { type Emission, WordSource } from "./text/word_source.ts";
