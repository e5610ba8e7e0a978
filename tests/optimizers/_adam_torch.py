"""PyTorch's Adam and AdamW on gradients that are given, each clipped first to the norm clip/lr."""
import json
import sys

import torch

job = json.load(sys.stdin)
results = []
for variant in job["variants"]:
    decoupled = "adamW" in variant
    options = variant["adamW" if decoupled else "adam"]
    params = {
        name: torch.tensor(values).reshape(job["shapes"][name]).requires_grad_()
        for name, values in job["start"].items()
    }
    kept = options.get("noDecay", "vectors" if decoupled else "none") == "vectors"
    decay = options.get("weightDecay", 0.01 if decoupled else 0)
    free = [p for p in params.values() if kept and p.dim() < 2]
    rest = [p for p in params.values() if not (kept and p.dim() < 2)]
    groups = [{"params": rest, "weight_decay": decay}, {"params": free, "weight_decay": 0}]
    make = torch.optim.AdamW if decoupled else torch.optim.Adam
    optimizer = make(
        [group for group in groups if group["params"]],
        betas=(options.get("beta1", 0.9), options.get("beta2", 0.999)),
        eps=options.get("eps", 1e-8),
    )
    for step in job["steps"]:
        for name, p in params.items():
            p.grad = torch.tensor(step["gradients"][name]).reshape(p.shape)
        rate = step["learningRate"]
        if variant.get("clips", True):
            torch.nn.utils.clip_grad_norm_(params.values(), step["clipThreshold"] / rate)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    results.append({name: p.flatten().tolist() for name, p in params.items()})
json.dump(results, sys.stdout)
