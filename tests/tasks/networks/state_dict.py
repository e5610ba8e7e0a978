"""A PyTorch network whose state dict is carried in or out as safetensors.

Arguments: save or load, a network (resnet20, resnet8, lstm) and a file. Saves a state dict with weights and
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
from resnet_reference import ResNet

TYPES = {"F32": torch.float32, "I64": torch.int64}


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
    language = network == "lstm"
    model = LanguageModel() if language else ResNet(3 if network == "resnet20" else 1)
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
