"""One GPT training step after another in PyTorch, on one thread.

Arguments: batch, context, vocabulary, layers, heads, width. Speaks as step_program.ts does. The clipped step is
torch.nn.utils.clip_grad_norm_'s and SGD's.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "models" / "architectures"))

from measured import serve
import torch
from gpt_model import first_weights, loss_of

batch, context, vocabulary, layers, heads, width = map(int, sys.argv[1:7])
weights = first_weights(vocabulary, layers, width, context)
optimizer = torch.optim.SGD(weights.values(), lr=0.5)


def step():
    tokens, targets = torch.randint(vocabulary, (2, batch, context))
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(weights, tokens, targets, heads)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(weights.values(), 1)
    optimizer.step()
    return loss.item()


serve(step)
