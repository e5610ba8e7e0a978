/**
 * AWD-LSTM: Merity, Keskar and Socher, Regularizing and Optimizing LSTM Language Models, ICLR 2018. An
 * embedding, a stack of LSTMs and a decoder that shares the embedding's weights, under five kinds of
 * dropout.
 *
 * Weight drop takes whole rows of the hidden-to-hidden matrices, as in the code of CELGC's authors, so the
 * recurrence is computed with the rows that are left; single elements (the paper's) can be asked for.
 *
 * @module
 */

import {
  type AwdLstmFeeds,
  checkWindow,
  evaluationFeeds,
  maskFeeds,
  type MaskOptions,
  type TextFeedOptions,
  windowFeeds,
  type WindowLike,
} from "./_awd_lstm_feeds.ts";
import { checkDropout, rowCapacity } from "./dropout.ts";
import type { Graph, Value } from "./graph.ts";
import { filled, LayerBuilder, uniform } from "./layers.ts";
import type { Target } from "./lowering/mod.ts";
import type { BuildOptions, Model, ModelGraph } from "./model.ts";
import { LSTM_OUTPUTS } from "./ops/recurrent.ts";
