"""One rank of the benchmark of allreduce, in PyTorch's gloo; see collectives_program.ts."""

import json
import os
import sys
import time

import torch
import torch.distributed as dist

torch.set_num_threads(1)
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=size)
for part in sys.argv[1].split(","):
    floats, warmup, calls, samples = map(int, part.split(":"))
    buffer = torch.full((floats,), 1e-3)
    times = torch.zeros(samples, dtype=torch.float64)
    for _ in range(warmup):
        dist.all_reduce(buffer)
    for sample in range(samples):
        buffer.fill_(1e-3)
        dist.barrier()
        start = time.perf_counter()
        for _ in range(calls):
            dist.all_reduce(buffer)
        times[sample] = (time.perf_counter() - start) / calls * 1e3
    dist.all_reduce(times, dist.ReduceOp.MAX)
    if rank == 0:
        print(json.dumps({"floats": floats, "times": times.tolist()}), flush=True)
