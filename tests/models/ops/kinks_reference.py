"""Gradients of PyTorch at kinks; a job and its results are JSON, their numbers text."""

import json
import sys

import torch
import torch.nn.functional as F


def tensor(numbers, dims):
    values = [float(number) for number in numbers]
    return torch.tensor(values, dtype=torch.float32).view(dims).requires_grad_()


def text(gradient):
    words = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
    return [words.get(str(x), str(x)) for x in gradient.flatten().tolist()]


kinks = []
for kink in json.load(sys.stdin):
    x = tensor(kink["x"], kink["dims"])
    y = tensor(kink["y"], kink["dims"]) if kink["y"] else None
    result = eval(kink["torch"], {"torch": torch, "F": F, "x": x, "y": y})
    weights = torch.arange(1, result.numel() + 1, dtype=torch.float32)
    (result.flatten() * weights).sum().backward()
    kinks.append({"x": text(x.grad), "y": text(y.grad) if y is not None else []})
json.dump({"version": torch.__version__, "kinks": kinks}, sys.stdout)
