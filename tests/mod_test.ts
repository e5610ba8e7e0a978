import assert from "node:assert/strict";
import * as library from "../mod.ts";

/** Every value that `mod.ts` exports: to add or take away one is a change of the public interface. */
const EXPORTS = `
ALGORITHMS ALGORITHM_NAMES ALLREDUCE_ALGORITHMS ANY_SOURCE ANY_TAG AVERAGING_TRIGGER AbortError CIFAR10_FOLDER CIFAR10_MEAN
CIFAR10_RECORD_BYTES CIFAR10_SOURCE CIFAR10_STD CheckpointError ClosedError Communicator DEVICE_CHOICES DataError END_OF_LINE
GRAPH_OPTIONS Graph HandshakeError IMAGE_BYTES IMAGE_SIDE LOSSES LayerBuilder LogError MODEL_NAMES MismatchError NORM_EPSILON OPSET
OP_NAMES OnnxFileError OperatorError OptionError PENN_TREEBANK_SOURCE PLAIN_STEP PRESETS PRESET_NAMES PROC_NULL
PeerLostError RESNET_DEPTHS Random RendezvousError ReportError Request RunFailedError SELECTIVE_OPTIONS TAG_UB TASK_NAMES
TrainingError TruncationError Vocabulary WIKITEXT2_SOURCE WordSource algorithmOf appendAverage
appendClippedStep augmentBatch awdLstm awdLstmTask averageName averageWeight batchLabels batchify celgc
channelStatistics checkModel checkPartition checkStep classifierOutputs copyWindow createAlgorithm createImageSampler
createOp createTextSampler defaultOptions differentiate diloco download downloadCifar10
downloadPennTreebank downloadWikiText2 drawParticipants encodeModel episode evaluationBatches
evaluationWindows exportGraph externalFiles fedProx filled foreignModel formatModelReport formatPartition generateImages generateText imageTask init isClipped
kaimingNormal labelCounts launch launchProgram loadCifar10 loadTextCorpus localSgd lower
naiveParallel nonMonotoneTrigger normaliseBatch openDevice operatorCoverage overlapped parametersOf
parsePartition partitionImages partitionTokens permissionsFor plan readMetrics report resnet
resolveOptions sequenceLength single slowMo stageWise sweep timedRounds tokenize train uniform waitAll
waitAny watchReport windowTask withDataInside
`.trim().split(/\s+/);

Deno.test("the library exports these names and no other", () => {
  assert.deepEqual(Object.keys(library).sort(), [...EXPORTS].sort());
});
