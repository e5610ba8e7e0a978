"""The same training step in PyTorch, one thread, one at a time: see ../step/program.ts.

    python3 resnet_step.py DEPTH BATCH contiguous|channels-last
"""

import sys

from measured import serve
import torch
from networks import Images

depth, batch, layout = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
torch.manual_seed(1)
training = Images(depth, batch, layout)


def step():
    loss = training.loss()
    gradients = torch.autograd.grad(loss, training.parameters)
    with torch.no_grad():
        norm = torch.sqrt(sum((g * g).sum() for g in gradients)).item()
        scale = min(training.learning_rate, training.clip / (1e-10 + norm))
        for parameter, gradient in zip(training.parameters, gradients):
            parameter.sub_(gradient, alpha=scale)
    loss.item()


serve(step, f"{layout}, ")
