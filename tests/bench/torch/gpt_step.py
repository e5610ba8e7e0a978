"""One GPT training step after another in PyTorch, on one thread.

Arguments: batch, context, vocabulary, layers, heads, width. Speaks as ../step/program.ts does. The clipped step is
torch.nn.utils.clip_grad_norm_'s and SGD's.
"""

import sys

from measured import serve
import torch
from networks import Characters

training = Characters(*map(int, sys.argv[1:7]))
optimizer = torch.optim.SGD(training.parameters, lr=training.learning_rate)


def step():
    training.draw()
    optimizer.zero_grad(set_to_none=True)
    loss = training.loss()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(training.parameters, training.clip / training.learning_rate)
    optimizer.step()
    return loss.item()


serve(step)
