"""One GPT training step after another in PyTorch, on one thread.

Arguments: batch, context, vocabulary, layers, heads, width. Speaks as step_program.ts does. The clipped step is
torch.nn.utils.clip_grad_norm_'s and SGD's.
"""

import json
import os
import pathlib
import resource
import sys
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "models" / "architectures"))

import torch
from gpt_model import first_weights, loss_of

torch.set_num_threads(1)
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


def measured():
    start, cpu = time.perf_counter(), time.process_time()
    step()
    return {
        "milliseconds": (time.perf_counter() - start) * 1000,
        "cpuMilliseconds": (time.process_time() - cpu) * 1000,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


measured()
print(json.dumps({"description": f"PyTorch {torch.__version__}, 1 thread"}), flush=True)
for _ in sys.stdin:
    print(json.dumps(measured()), flush=True)
