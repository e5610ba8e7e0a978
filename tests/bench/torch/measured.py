"""What the training programs beside this file have in common: one thread, and steps measured on request.

Import it before torch, which reads the number of threads when it is loaded.
"""

import json
import os
import resource
import sys
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import torch

torch.set_num_threads(1)


def measured(step):
    start, cpu = time.perf_counter(), time.process_time()
    step()
    return {
        "milliseconds": (time.perf_counter() - start) * 1000,
        "cpuMilliseconds": (time.process_time() - cpu) * 1000,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def serve(step, kind=""):
    """Takes a first step, says what this is, then takes one for each line of input. Speaks as ../step/program.ts does."""
    measured(step)
    print(json.dumps({"description": f"PyTorch {torch.__version__}, {kind}1 thread"}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(measured(step)), flush=True)
