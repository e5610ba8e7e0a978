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
export {
  CIFAR10_FOLDER,
  CIFAR10_MEAN,
  CIFAR10_RECORD_BYTES,
  CIFAR10_STD,
  loadCifar10,
} from "./images/cifar10.ts";
export { DataError } from "./data_error.ts";
export {
  download,
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
  IMAGE_BYTES,
  IMAGE_SIDE,
  type ImageDataSet,
  type ImageSplits,
} from "./images/image_data_set.ts";
export {
  checkPartition,
  formatPartition,
  labelCounts,
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
export { sequenceLength, type SequenceLengthOptions } from "./text/sequence_length.ts";
export {
  CIFAR10_SOURCE,
  type DataSource,
  downloadCifar10,
  downloadPennTreebank,
  downloadWikiText2,
  type FetchOptions,
  PENN_TREEBANK_SOURCE,
  type SourceDownload,
  type SourceFile,
  WIKITEXT2_SOURCE,
} from "./sources/sources.ts";
export { batchify, copyWindow, type TextColumns } from "./text/text_columns.ts";
export { loadTextCorpus, type TextCorpus, type TextSplit, tokenize } from "./text/text_corpus.ts";
export {
  type EvaluationWindow,
  evaluationWindows,
  type TextEvaluationOptions,
} from "./text/text_evaluation.ts";
export {
  createTextSampler,
  type TextSampler,
  type TextSamplerOptions,
  type TextWindow,
} from "./text/text_sampler.ts";
export { END_OF_LINE, Vocabulary } from "./text/vocabulary.ts";
export { type Emission, WordSource } from "./text/word_source.ts";
