"""ResNet-20 in PyTorch, in float64: gradients of the first step and ten clipped SGD steps.

Reads a JSON header line {"batch", "steps", "lr", "clip", "names", "shapes"} and then, as raw little-endian
float32, the variables in that order, followed for each step by the images; targets are in the header.
Writes one JSON line {"losses", "norms"} and then raw float64: the first step's gradients of the trained
variables, in order, and all variables after the last step.
"""

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, channels, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.stride, self.extra = stride, filters - channels

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.extra:
            half = self.extra // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.extra - half))
        return F.relu(y + x)


class ResNet(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        channels = 16
        for stage in (1, 2, 3):
            layers = []
            for block in range(blocks):
                filters = 8 << stage
                layers.append(Block(channels, filters, 2 if stage > 1 and block == 0 else 1))
                channels = filters
            setattr(self, f"layer{stage}", nn.Sequential(*layers))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def main():
    stream = sys.stdin.buffer
    header = json.loads(stream.readline())
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)

    def read(shape):
        count = int(np.prod(shape))
        return torch.from_numpy(np.frombuffer(stream.read(4 * count), "<f4").reshape(shape).astype("f8"))

    model = ResNet(header["blocks"])
    state = {name: read(shape) for name, shape in zip(header["names"], header["shapes"])}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    parameters = dict(model.named_parameters())
    trained = [name for name in header["names"] if name in parameters]
    losses, norms, first = [], [], []
    for target in header["targets"]:
        images = read((header["batch"], 3, 32, 32))
        loss = F.cross_entropy(model(images), torch.tensor(target))
        gradients = torch.autograd.grad(loss, [parameters[name] for name in trained])
        norm = sum((g * g).sum() for g in gradients).sqrt()
        scale = min(header["lr"], header["clip"] / norm.item())
        with torch.no_grad():
            for name, gradient in zip(trained, gradients):
                parameters[name] -= scale * gradient
        losses.append(loss.item())
        norms.append(norm.item())
        first = first or gradients
    sys.stdout.write(json.dumps({"losses": losses, "norms": norms}) + "\n")
    sys.stdout.flush()
    final = model.state_dict()
    for tensor in [*first, *(final[name] for name in header["names"])]:
        sys.stdout.buffer.write(tensor.detach().numpy().astype("<f8").tobytes())


if __name__ == "__main__":
    main()
