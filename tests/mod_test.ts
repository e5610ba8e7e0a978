import assert from "node:assert/strict";
import * as library from "../mod.ts";

/** Every value that `mod.ts` exports: to add or take away one is a change of the public interface. */
const EXPORTS = `
ALGORITHMS ALGORITHM_NAMES ALLREDUCE_ALGORITHMS ANY_SOURCE ANY_TAG AbortError CIFAR10_MEAN
CIFAR100_SOURCE CIFAR10_SOURCE CIFAR10_STD CLIP_RULES CallbackError CheckpointError ClosedError Communicator DEVICE_CHOICES DataError DeviceError
GRAPH_OPTIONS Graph HandshakeError IMAGE_SIDE InterruptedError LOSSES LayerBuilder LogError MODEL_NAMES MismatchError
OPSET OP_NAMES OnnxFileError OperatorError OptionError PENN_TREEBANK_SOURCE PLAIN_STEP POSITIONS PRESETS
joinLaunch launcherPlace openWorld PRESET_NAMES PROC_NULL PeerLostError RESNET_DEPTHS Random RendezvousError ReportError Request RevokedError
RunFailedError SELECTIVE_OPTIONS OPTIMIZER_NAMES SCHEDULE_NAMES sizeAt UPDATE_RULES adam adamW decays sgd slotOf TAG_UB TASK_NAMES TrainingError TruncationError Vocabulary
WIKITEXT2_SOURCE WordSource amplifiedScaffold appendClippedStep augmentBatch awdLstm awdLstmTask batchLabels celgc
channelStatistics checkModel classifierOutputs createAlgorithm createImageSampler createOp
createTextSampler defaultOptions differentiate diloco downloadCifar10 downloadCifar100 downloadPennTreebank
downloadWikiText2 drawParticipants encodeModel episode episodePlusPlus evaluationBatches exportGraph externalFiles
fedProx filled foreignModel formatModelReport formatInterval formatPartition formatSampling fragmented generate generateImages generateText gpt imageTask init
isClipped kaimingNormal launch launchProgram loadCifar10 loadCifar100 loadTextCorpus localSgd lower minibatchClip mlp naiveParallel
normaliseBatch openDevice operatorCoverage overlapped parametersOf parseInterval parsePartition parseSampling partitionImages
partitionTokens permissionsFor plan readMetrics report resnet resolveOptions roundsOf scaffold scaffoldClip scheduled single slowMo sparseLoco stageWise
sweep timedRounds tokenize train trainOptions uniform waitAll waitAny watchReport windowTask withDataInside
`.trim().split(/\s+/);

Deno.test("the library exports these names and no other", () => {
  assert.deepEqual(Object.keys(library).sort(), [...EXPORTS].sort());
});

Deno.test("every name that the library exports is on the library's page", async () => {
  const page = await Deno.readTextFile(new URL("../docs/library.md", import.meta.url));
  const named = page.slice(page.indexOf("## All names"));
  assert.deepEqual(EXPORTS.filter((name) => !named.includes(`\`${name}\``)), []);
});
