"""One AWD-LSTM training step after another in PyTorch, as the authors' code does them, on one thread.

Arguments: batch, length, vocabulary. Speaks as ../step/program.ts does. The clipped step is
torch.nn.utils.clip_grad_norm_'s and SGD's.
"""

import sys

from measured import serve
import torch
from networks import Words

training = Words(*map(int, sys.argv[1:4]))
optimizer = torch.optim.SGD(training.parameters, lr=training.learning_rate, weight_decay=training.weight_decay)


def step():
    training.draw()
    optimizer.zero_grad(set_to_none=True)
    loss = training.loss()
    loss.backward()
    training.after_backward()
    torch.nn.utils.clip_grad_norm_(training.parameters, training.clip / training.learning_rate)
    optimizer.step()
    return loss.item()


serve(step)
