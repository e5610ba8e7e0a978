"""AWD-LSTM in PyTorch, in float64: clipped SGD steps under given dropout masks.

Reads one JSON object: "config" (activation, temporal, weightDecay), "variables" ({name: nested list}) and
"steps", each with input, target, restart, lr, clip and masks. A mask of hidden-to-hidden weights is a column
of rows' factors or a whole matrix. Writes one JSON line {"losses", "entropies", "norms", "names"} and then
raw float64: the first step's gradients of the trained weights in the order of names, those weights after
the last step, and the last hidden and cell state of each layer.
"""

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
job = json.load(sys.stdin)
config = job["config"]
weights = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in job["variables"].items()}
layers = 1 + max(int(k.split(".")[1]) for k in weights if k.startswith("rnns."))
sizes = [weights[f"rnns.{l}.weight_hh_l0"].shape[1] for l in range(layers)]
names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def forward(step, states):
    masks = {k: torch.tensor(v, dtype=torch.float64) for k, v in step["masks"].items()}
    locked = lambda name, x: x * masks[name] if name in masks else x
    words = weights["encoder.weight"]
    if "encoder.dropout" in masks:
        words = words * masks["encoder.dropout"].unsqueeze(1)
    x = locked("input.dropout", F.embedding(torch.tensor(step["input"]), words))
    after = []
    for l in range(layers):
        own = [weights[f"rnns.{l}.{name}"] for name in names]
        own[1] = locked(f"rnns.{l}.weight_hh_l0", own[1])
        # what nn.LSTM calls: biases, 1 layer, no dropout, training, one direction, time first
        raw, *state = torch._VF.lstm(x, states[l], own, True, 1, 0.0, True, False, False)
        after.append(tuple(each.detach() for each in state))
        x = locked("output.dropout" if l == layers - 1 else f"rnns.{l}.dropout", raw)
    logits = F.linear(x, weights["encoder.weight"], weights["decoder.bias"])
    entropy = F.cross_entropy(logits.flatten(0, 1), torch.tensor(step["target"]).flatten())
    loss = entropy + config["activation"] * x.pow(2).mean()
    loss = loss + config["temporal"] * (raw[1:] - raw[:-1]).pow(2).mean()
    return loss, entropy, after


losses, entropies, norms, first, states = [], [], [], None, None
for step in job["steps"]:
    if step["restart"]:
        batch = len(step["input"][0])
        states = [(torch.zeros(1, batch, size), torch.zeros(1, batch, size)) for size in sizes]
    loss, entropy, states = forward(step, states)
    gradients = torch.autograd.grad(loss, list(weights.values()))
    first = first or [g.numpy().copy() for g in gradients]
    norm = torch.sqrt(sum(g.pow(2).sum() for g in gradients))
    scale = min(step["lr"], step["clip"] / (norm.item() + 1e-10))
    with torch.no_grad():
        for x, g in zip(weights.values(), gradients):
            x -= scale * (g + config["weightDecay"] * x)
    losses.append(loss.item())
    entropies.append(entropy.item())
    norms.append(norm.item())

print(json.dumps({"losses": losses, "entropies": entropies, "norms": norms, "names": list(weights)}))
sys.stdout.flush()
tail = [*first, *(x.detach().numpy() for x in weights.values())]
tail += [each.numpy() for state in states for each in state]
sys.stdout.buffer.write(np.concatenate([x.ravel() for x in tail]).astype("<f8").tobytes())
