"""The networks that the programs beside this file train, and what a step of each is fed.

Import measured.py, or set the number of threads, before torch does.
"""

import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "models" / "architectures"))

from gpt_model import first_weights, loss_of  # noqa: E402


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
    """He et al.'s for CIFAR-10, whose shortcuts are padded with zeros."""

    def __init__(self, depth):
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


class Training:
    """What all of them have; beside it a loss of what draw() has drawn."""

    def draw(self):
        """New data in the tensors that loss() reads."""

    def after_backward(self):
        """What is kept from step to step."""

    def compiles(self):
        """Says that loss() is about to be compiled."""


class Images(Training):
    """A ResNet on random images. `layout` is contiguous or channels-last."""

    def __init__(self, depth, batch, layout="contiguous", device="cpu"):
        form = torch.channels_last if layout == "channels-last" else torch.contiguous_format
        self.network = ResNet(depth).to(device, memory_format=form)
        self.images = torch.randn(batch, 3, 32, 32, device=device).to(memory_format=form)
        self.labels = torch.randint(0, 10, (batch,), device=device)
        self.parameters = list(self.network.parameters())
        self.learning_rate, self.clip, self.weight_decay = 0.1, 1.0, 0.0
        self.samples = batch

    def loss(self):
        return F.cross_entropy(self.network(self.images), self.labels)


class Words(Training):
    """AWD-LSTM at Penn Treebank's size, as its authors' code trains it."""

    def __init__(self, batch, length, vocabulary, device="cpu", width=400, hidden=1150):
        sizes = [width, hidden, hidden, width]
        uniform = lambda bound, *dims: torch.empty(*dims, device=device).uniform_(-bound, bound).requires_grad_()
        self.encoder = uniform(0.1, vocabulary, width)
        self.bias = torch.zeros(vocabulary, device=device, requires_grad=True)
        self.rnns = []
        for inputs, size in zip(sizes, sizes[1:]):
            bound = size**-0.5
            self.rnns.append([uniform(bound, 4 * size, inputs), uniform(bound, 4 * size, size),
                              uniform(bound, 4 * size), uniform(bound, 4 * size)])
        self.parameters = [self.encoder, *(weight for rnn in self.rnns for weight in rnn), self.bias]
        self.states = [(torch.zeros(1, batch, size, device=device), torch.zeros(1, batch, size, device=device))
                       for size in sizes[1:]]
        self.words = torch.zeros(length, batch, dtype=torch.long, device=device)
        self.targets = torch.zeros(length * batch, dtype=torch.long, device=device)
        self.vocabulary, self.batch, self.width, self.device = vocabulary, batch, width, device
        self.learning_rate, self.clip, self.weight_decay = 30.0, 7.5, 1.2e-6
        self.samples = batch * length
        self.lstm = torch._VF.lstm

    def compiles(self):
        # As nn.LSTM does it, which PyTorch leaves out of what it compiles: else each of its steps of time is compiled
        # by itself, which takes minutes.
        self.lstm = torch.compiler.disable(lambda *given: torch._VF.lstm(*given))

    def draw(self):
        self.words.random_(self.vocabulary)
        self.targets.random_(self.vocabulary)

    def loss(self):
        mask = lambda p, *dims: torch.empty(*dims, device=self.device).bernoulli_(1 - p).div_(1 - p)
        x = F.embedding(self.words, self.encoder * mask(0.1, self.vocabulary, 1)) * mask(0.4, 1, self.batch, self.width)
        self.next_states = []
        for i, (by_input, by_hidden, *biases) in enumerate(self.rnns):
            dropped = by_hidden * mask(0.5, by_hidden.shape[0], 1)
            raw, *state = self.lstm(x, self.states[i], [by_input, dropped, *biases], True, 1, 0.0, True, False, False)
            self.next_states.append([each.detach() for each in state])
            x = raw * mask(0.4 if i == 2 else 0.25, 1, self.batch, raw.shape[2])
        loss = F.cross_entropy(F.linear(x.flatten(0, 1), self.encoder, self.bias), self.targets)
        return loss + 2 * x.pow(2).mean() + (raw[1:] - raw[:-1]).pow(2).mean()

    def after_backward(self):
        for state, after in zip(self.states, self.next_states):
            for each, value in zip(state, after):
                each.copy_(value)


class Characters(Training):
    """A GPT on random tokens."""

    def __init__(self, batch, context, vocabulary, layers, heads, width, device="cpu"):
        weights = first_weights(vocabulary, layers, width, context)
        self.weights = {name: each.detach().to(device).requires_grad_() for name, each in weights.items()}
        self.parameters = list(self.weights.values())
        self.tokens = torch.zeros(batch, context, dtype=torch.long, device=device)
        self.targets = torch.zeros_like(self.tokens)
        self.vocabulary, self.heads = vocabulary, heads
        self.learning_rate, self.clip, self.weight_decay = 0.5, 0.5, 0.0
        self.samples = batch * context

    def draw(self):
        self.tokens.random_(self.vocabulary)
        self.targets.random_(self.vocabulary)

    def loss(self):
        return loss_of(self.weights, self.tokens, self.targets, self.heads)


def training_of(model, batch, layout="contiguous", device="cpu"):
    """The networks of ../step/networks.ts by their names there."""
    if model == "awd-lstm":
        return Words(batch, 70, 10_000, device)
    if model == "lstm-tiny":
        return Words(batch, 8, 50, device, 8, 12)
    if model == "gpt-nano":
        return Characters(batch, 256, 65, 6, 6, 384, device)
    if model == "gpt-tiny":
        return Characters(batch, 16, 65, 1, 2, 16, device)
    return Images(int(model.removeprefix("resnet")), batch, layout, device)
