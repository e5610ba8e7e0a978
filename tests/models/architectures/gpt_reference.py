"""Clipped SGD or AdamW steps of a GPT in PyTorch, in float64, under given dropout masks.

Reads one JSON object: "heads", "lr", "clip", "adam" (options of AdamW, or null), "variables" ({name: nested list}) and "steps", each with input,
target and masks. Writes one JSON line {"losses", "norms"} and then raw float64: the first step's logits, its
gradients in the order of variables, and the weights after the last step.
"""

import json
import sys

import numpy as np
import torch
from gpt_model import logits_of, loss_of

torch.set_default_dtype(torch.float64)
job = json.load(sys.stdin)
heads, lr, clip = job["heads"], job["lr"], job["clip"]
weights = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in job["variables"].items()}
losses, norms, out = [], [], []
adam, optimizer = job["adam"], None
if adam:
    groups = [
        {"params": [x for x in weights.values() if x.dim() > 1], "weight_decay": adam["weightDecay"]},
        {"params": [x for x in weights.values() if x.dim() < 2], "weight_decay": 0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, adam["beta2"]), eps=adam["eps"])
for at, step in enumerate(job["steps"]):
    tokens, targets = torch.tensor(step["input"]), torch.tensor(step["target"])
    masks = {k: torch.tensor(v, dtype=torch.float64) for k, v in step["masks"].items()}
    if at == 0:
        out.append(logits_of(weights, tokens, heads).detach())
    loss = loss_of(weights, tokens, targets, heads, masks)
    gradients = torch.autograd.grad(loss, list(weights.values()))
    if at == 0:
        out.extend(gradients)
    norm = torch.sqrt(sum(g.pow(2).sum() for g in gradients)).item()
    if optimizer:
        for x, g in zip(weights.values(), gradients):
            x.grad = g.clone()
        torch.nn.utils.clip_grad_norm_(weights.values(), clip / lr)
        optimizer.step()
    else:
        with torch.no_grad():
            for x, g in zip(weights.values(), gradients):
                x -= min(lr, clip / norm) * g
    losses.append(loss.item())
    norms.append(norm)
out.extend(weights.values())
sys.stdout.buffer.write((json.dumps({"losses": losses, "norms": norms}) + "\n").encode())
for each in out:
    sys.stdout.buffer.write(np.ascontiguousarray(each.detach().numpy()).tobytes())
