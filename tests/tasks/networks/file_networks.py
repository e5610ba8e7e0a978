"""Networks as PyTorch exports them for training: resnet18 (also a narrow one), lstm and gpt, into a folder.

The networks' batch and length are symbolic. The arguments are the folder and how many words the
language models know.
"""

import pathlib
import sys

import torch
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "models" / "foreign"))
from foreign_reference import Gpt, LanguageModel, ResNet18


class Dropped(LanguageModel):
    """With dropout between the LSTMs and the decoder."""

    def forward(self, ids):
        x, _ = self.rnn(self.encoder(ids))
        x, _ = self.gru(nn.functional.dropout(x, 0.1, self.training))
        return self.decoder(x)


def main(folder, words):
    torch.manual_seed(1)
    torch.set_num_threads(1)
    words = int(words)
    images, ids = torch.randn(2, 3, 32, 32), torch.randint(0, words, (2, 8))
    networks = {
        "resnet18": (ResNet18(), images, {0: "batch"}),
        "resnet18_narrow": (ResNet18(4), images, {0: "batch"}),
        "lstm": (Dropped(words), ids, {0: "batch", 1: "length"}),
        "gpt": (Gpt(words), ids, {0: "batch", 1: "length"}),
    }
    for name, (network, given, axes) in networks.items():
        torch.onnx.export(
            network, given, f"{folder}/{name}.onnx", input_names=["given"], output_names=["scores"],
            dynamic_axes={"given": axes}, opset_version=17, do_constant_folding=False,
            training=torch.onnx.TrainingMode.TRAINING,
        )


main(*sys.argv[1:])
