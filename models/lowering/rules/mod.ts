/**
 * Every lowering rule, one operator family a file.
 *
 * @module
 */

import type { LoweringRules } from "../rule.ts";
import { activationRules } from "./activation.ts";
import { attentionRules } from "./attention.ts";
import { convolutionRules } from "./convolution.ts";
import { embeddingRules } from "./embedding.ts";
import { indexingRules } from "./indexing.ts";
import { logicRules } from "./logic.ts";
import { normalizationRules } from "./normalization.ts";
import { poolingRules } from "./pooling.ts";
import { recurrentRules } from "./recurrent.ts";
import { softmaxRules } from "./softmax.ts";

/** The rules by operator. */
export const loweringRules: LoweringRules = {
  ...activationRules,
  ...attentionRules,
  ...convolutionRules,
  ...embeddingRules,
  ...indexingRules,
  ...logicRules,
  ...normalizationRules,
  ...poolingRules,
  ...recurrentRules,
  ...softmaxRules,
};
