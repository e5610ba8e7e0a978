"""The same training step in PyTorch, one thread, one at a time: see step_program.ts.

    python3 resnet_step.py DEPTH BATCH contiguous|channels-last
"""

import sys

from measured import serve
import torch
from torch import nn
from torch.nn import functional as F

depth, batch, layout = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
torch.manual_seed(1)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.more = outputs - inputs

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.more:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more // 2))
        return F.relu(x + y)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        blocks, channels = [], 16
        for stage in range(3):
            for i in range((depth - 2) // 6):
                filters = 16 << stage
                blocks.append(Block(channels, filters, 2 if stage and i == 0 else 1))
                channels = filters
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.blocks(F.relu(self.bn1(self.conv1(x))))
        return self.linear(x.mean((2, 3)))


network = ResNet()
images, labels = torch.randn(batch, 3, 32, 32), torch.randint(0, 10, (batch,))
if layout == "channels-last":
    network = network.to(memory_format=torch.channels_last)
    images = images.to(memory_format=torch.channels_last)
parameters = list(network.parameters())


def step():
    loss = F.cross_entropy(network(images), labels)
    gradients = torch.autograd.grad(loss, parameters)
    with torch.no_grad():
        norm = torch.sqrt(sum((g * g).sum() for g in gradients)).item()
        scale = min(0.1, 1.0 / (1e-10 + norm))
        for parameter, gradient in zip(parameters, gradients):
            parameter.sub_(gradient, alpha=scale)
    loss.item()


serve(step, f"{layout}, ")
