"""A PyTorch network whose state dict is carried in or out as safetensors.

Arguments: save or load, a network (resnet20, resnet8, lstm, gpt) and a file. Saves a state dict with weights and
statistics of its own, or loads one, strictly; then prints the network's logits in evaluation as JSON. The
images and the words are those of weights_test.ts. The format is written by hand, after its description at
https://github.com/huggingface/safetensors.
"""

import json
import math
import pathlib
import struct
import sys

import torch
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "models" / "architectures"))
from gpt_model import first_weights, logits_of
from resnet_reference import ResNet

TYPES = {"F32": torch.float32, "I64": torch.int64, "U8": torch.uint8}


class LanguageModel(nn.Module):
    """LSTMs between an embedding and a decoder that shares its weight."""

    def __init__(self, words=30, embedding=6, hidden=8):
        super().__init__()
        self.encoder = nn.Embedding(words, embedding)
        self.rnns = nn.ModuleList([nn.LSTM(embedding, hidden), nn.LSTM(hidden, embedding)])
        self.decoder = nn.Linear(embedding, words)
        self.decoder.weight = self.encoder.weight

    def forward(self, ids):
        x = self.encoder(ids)
        for rnn in self.rnns:
            x, _ = rnn(x)
        return self.decoder(x)


class Gpt(nn.Module):
    """GPT-2 by Hugging Face's names, saved as its `gpt2` is: without prefix and head, with the causal masks."""

    def __init__(self, words=30, layers=2, width=12, context=2):
        super().__init__()
        self.weights = {name: value.detach() for name, value in first_weights(words, layers, width, context).items()}
        for value in self.weights.values():
            value += 0.2 * torch.randn(value.shape)
        masks = {f"h.{layer}.attn.bias": torch.ones(1, 1, context, context).tril() for layer in range(layers)}
        self.theirs = {name.removeprefix("transformer."): value for name, value in self.weights.items()} | masks

    def state_dict(self):
        return self.theirs

    def load_state_dict(self, tensors, strict):
        head = tensors.pop("lm_head.weight")
        assert strict and set(tensors) == set(self.weights), set(tensors) ^ set(self.weights)
        assert torch.equal(head, tensors["transformer.wte.weight"])
        assert all(tensors[name].shape == value.shape for name, value in self.weights.items())
        self.weights = tensors

    def forward(self, ids):
        return logits_of(self.weights, ids, heads=3)


def save(path, tensors):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in tensors.items():
        raw = tensor.detach().contiguous().numpy().tobytes()
        kind = next(kind for kind, dtype in TYPES.items() if dtype == tensor.dtype)
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": offsets}
        data += raw
    text = json.dumps(header).encode()
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


def load(path):
    file = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", file[:8])
    header, data = json.loads(file[8 : 8 + length]), file[8 + length :]
    header.pop("__metadata__", None)
    return {
        name: torch.frombuffer(bytearray(data[slice(*entry["data_offsets"])]), dtype=TYPES[entry["dtype"]])
        .reshape(entry["shape"])
        for name, entry in header.items()
    }


def main(action, network, path):
    torch.manual_seed(3)
    torch.set_num_threads(1)
    language = network in ("lstm", "gpt")
    model = {"lstm": LanguageModel, "gpt": Gpt}[network]() if language else ResNet(3 if network == "resnet20" else 1)
    if action == "load":
        model.load_state_dict(load(path), strict=True)
    else:
        if not language:
            for _ in range(3):
                model(torch.randn(8, 3, 32, 32) * 2 + 1)
        save(path, model.state_dict())
    model.eval()
    if language:
        given = torch.tensor([(7 * i + 3) % 30 for i in range(10)]).reshape(5, 2)
    else:
        given = torch.tensor([math.sin(i) for i in range(2 * 3072)]).reshape(2, 3, 32, 32)
    print(json.dumps(model(given).flatten().tolist()))


main(*sys.argv[1:])
