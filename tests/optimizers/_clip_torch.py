"""Clips gradients with PyTorch and takes plain steps; a job and its results are JSON."""

import json
import sys

import torch


def unit_norm(x):
    return x.norm() if x.dim() <= 1 else x.flatten(1).norm(dim=1).view(-1, *[1] * (x.dim() - 1))


def clip(rule, params, most):
    if rule == "layer":
        for p in params:
            torch.nn.utils.clip_grad_norm_([p], most)
    elif rule == "local":
        torch.nn.utils.clip_grad_norm_(params, most)
    elif rule == "value":
        torch.nn.utils.clip_grad_value_(params, most)
    elif rule == "agc":
        for p in params:
            limit = most * unit_norm(p.detach()).clamp(min=1e-3)
            norm = unit_norm(p.grad)
            p.grad = torch.where(norm > limit, p.grad * (limit / norm), p.grad)
    else:
        norm = torch.stack([p.grad.norm() for p in params]).norm()
        for p in params:
            p.grad = p.grad * most / (most + norm)


job = json.load(sys.stdin)
results = {}
for rule, sizes in job["rules"].items():
    params = {
        name: torch.tensor(data, dtype=torch.float32).view(job["shapes"][name]).requires_grad_()
        for name, data in job["start"].items()
    }
    for gradients, (lr, threshold) in zip(job["gradients"], sizes):
        for name, p in params.items():
            p.grad = torch.tensor(gradients[name], dtype=torch.float32).view(job["shapes"][name])
        clip(rule, list(params.values()), threshold / lr)
        torch.optim.SGD(params.values(), lr=lr).step()
    results[rule] = {name: p.flatten().tolist() for name, p in params.items()}
json.dump(results, sys.stdout)
