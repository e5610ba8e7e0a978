"""Networks of several inputs: PyTorch's exports of them into a folder, or PyTorch's training of one.

The arguments are `export FOLDER WORDS`, or `train NAME WORDS` with a job as JSON on standard input: batches of named
arrays, and a learning rate. Training prints the weights as JSON.
"""

import json
import sys

import torch
from torch import nn


class Pair(nn.Module):
    """Tells whether two images are alike."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(8, 2)

    def forward(self, left, right):
        features = [torch.tanh(self.conv(image)).mean((2, 3)) for image in (left, right)]
        return self.fc(torch.cat(features, 1))


class Pooled(nn.Module):
    """Classes of sequences whose length is in a mask."""

    def __init__(self, words):
        super().__init__()
        self.encoder = nn.Embedding(words, 6)
        self.fc = nn.Linear(6, 3)

    def forward(self, input_ids, attention_mask):
        mask = attention_mask.unsqueeze(-1).float()
        x = torch.tanh(self.encoder(input_ids)) * mask
        return self.fc(x.sum(1) / mask.sum(1))


class Tokens(nn.Module):
    """A language model with the inputs that Hugging Face's have."""

    def __init__(self, words):
        super().__init__()
        self.words = nn.Embedding(words, 6)
        self.types = nn.Embedding(2, 6)
        self.positions = nn.Embedding(16, 6)
        self.decoder = nn.Linear(6, words)

    def forward(self, input_ids, attention_mask, token_type_ids, position_ids):
        x = self.words(input_ids) + self.types(token_type_ids) + self.positions(position_ids)
        return self.decoder(torch.tanh(x) * attention_mask.unsqueeze(-1).float())


def network(name, words):
    torch.manual_seed(1)
    return {"pair": Pair, "pooled": lambda: Pooled(words), "tokens": lambda: Tokens(words)}[name]()


def export(folder, words):
    images, ids = torch.randn(2, 3, 8, 8), torch.randint(0, words, (2, 5))
    given = {
        "pair": {"left": images, "right": images.clone()},
        "pooled": {"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        "tokens": {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "token_type_ids": torch.zeros_like(ids),
            "position_ids": torch.arange(5).expand(2, 5).contiguous(),
        },
    }
    for name, inputs in given.items():
        axes = {0: "batch"} if name == "pair" else {0: "batch", 1: "length"}
        torch.onnx.export(
            network(name, words), tuple(inputs.values()), f"{folder}/{name}.onnx",
            input_names=list(inputs), output_names=["scores"],
            dynamic_axes={each: axes for each in inputs}, opset_version=17,
            do_constant_folding=False, training=torch.onnx.TrainingMode.TRAINING,
        )


def train(name, words):
    job, model = json.load(sys.stdin), network(name, words)
    optimizer = torch.optim.SGD(model.parameters(), lr=job["lr"])
    for batch in job["batches"]:
        target = torch.tensor(batch.pop("target"))
        inputs = {key: torch.tensor(value) for key, value in batch.items()}
        loss = nn.functional.cross_entropy(model(**inputs), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(json.dumps({key: value.flatten().tolist() for key, value in model.named_parameters()}))


torch.set_num_threads(1)
mode, where, words = sys.argv[1:]
{"export": export, "train": train}[mode](where, int(words))
