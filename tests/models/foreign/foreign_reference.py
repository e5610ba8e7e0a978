"""Networks exported by PyTorch, with their gradients.

Arguments: any number of a network (resnet18, vgg, operators, images, lstm, gpt), a mode (train, eval) of export and
an opset, with commas between them. Writes for each one JSON line {"file", "loss", "names", "shapes", "input", "target"}, `file` being a length, followed
by the ONNX file in so many bytes, and the gradients of the mean cross entropy by the named parameters, as
raw float64, computed in float64 with the network in training.
"""

import io
import json
import sys
import warnings

import torch
import torch.nn.functional as F
from torch import nn

warnings.filterwarnings("ignore")


class Block(nn.Module):
    def __init__(self, channels, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.downsample = None
        if stride > 1 or channels != filters:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters)
            )

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.downsample(x) if self.downsample else x))


class ResNet18(nn.Module):
    """The layers of torchvision's resnet18, a quarter as wide."""

    def __init__(self, width=16, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = width
        for i in range(4):
            filters = width << i
            first = Block(channels, filters, 1 if i == 0 else 2)
            setattr(self, f"layer{i + 1}", nn.Sequential(first, Block(filters, filters, 1)))
            channels = filters
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Vgg(nn.Module):
    """Biases, dropout, pooling, a transposed convolution and other activations."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.conv2 = nn.ConvTranspose2d(6, 6, 3, stride=2, padding=1, output_padding=1)
        self.conv3 = nn.Conv2d(6, 8, 3, stride=2, groups=2)
        self.norm = nn.GroupNorm(2, 8)
        self.act = nn.PReLU(8)
        self.drop = nn.Dropout(0.0)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        x = F.avg_pool2d(F.hardswish(self.conv1(x)), 2)
        x = F.max_pool2d(F.elu(self.conv2(x)), 2)
        x = self.act(self.norm(F.leaky_relu(self.conv3(x))))
        return self.fc(self.drop(F.softplus(x).mean((2, 3))))


class Operators(nn.Module):
    """What the other networks leave out of the operators that exporters use."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, stride=2, bias=False)
        self.mix = nn.Parameter(torch.randn(6, 6) / 2)
        self.scale = nn.Parameter(torch.rand(6, 1, 1) + 0.5)
        self.norm = nn.InstanceNorm2d(6, affine=True)
        self.fc = nn.Linear(60, 10)

    def forward(self, x):
        h = self.norm(self.conv(x))
        a = torch.tanh(torch.einsum("nchw,cd->ndhw", h, self.mix)) * torch.sigmoid(h)
        a = torch.clamp(a, -0.5, 0.6) + self.scale.expand(6, 5, 5).unsqueeze(0)
        one, two = torch.split(a, [2, 4], dim=1)
        u = torch.exp(-two.abs())
        v = torch.log(u + 1) * torch.reciprocal(u + 2) + torch.sqrt(two.pow(2) + 1)
        w = torch.min(u, v) + torch.max(v, two) * 0.5
        w = torch.where(w > two, w, torch.square(two))
        tiled = F.pad(one, (1, 0, 2, 1)).repeat(1, 2, 1, 1).transpose(2, 3)
        signs = (two > 0).to(w.dtype)
        features = [
            w.sum((2, 3)), w.mean(3).amax(2), w.amin((2, 3)), w[:, :, :2, :2].prod(3).prod(2),
            w.norm(1, (2, 3)) / 9, w.norm(2, (2, 3)), torch.logsumexp(w, (2, 3)), (w * w).sum((2, 3)) * 0.1,
            tiled.sum((2, 3)), (signs * w).flatten(2).mean(2), (w - w.mean((2, 3), keepdim=True)).pow(2).mean((2, 3)),
            F.celu(w).mean((2, 3)), F.hardsigmoid(w).sum((2, 3)), F.selu(w).mean((2, 3)), torch.cumsum(w, 2).mean((2, 3)),
        ]
        return F.log_softmax(self.fc(torch.cat(features, 1)), 1)


class Images(nn.Module):
    """Images made larger, pooled with windows that do not come out even, and normalised over channels."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1, padding_mode="reflect")
        self.lrn = nn.LocalResponseNorm(3, 0.5, 0.75, 1.5)
        self.fc = nn.Linear(6, 10)

    def forward(self, x):
        x = F.interpolate(self.conv1(x), scale_factor=2.0, mode="nearest")
        x = F.max_pool2d(self.lrn(x), 3, 2, ceil_mode=True)
        x = F.interpolate(self.conv2(x), size=(17, 9), mode="bilinear", align_corners=False)
        x = F.avg_pool2d(torch.tanh(x), 4, 3, padding=1, ceil_mode=True, count_include_pad=False)
        x = F.interpolate(x, size=(9, 7), mode="bilinear", align_corners=True)
        x = F.pad(x, (1, 2, 0, 1), mode="replicate")
        return self.fc(x.abs().mean((2, 3)))


class LanguageModel(nn.Module):
    def __init__(self, words=50, size=16):
        super().__init__()
        self.encoder = nn.Embedding(words, size)
        self.rnn = nn.LSTM(size, 24, 2, batch_first=True)
        self.gru = nn.GRU(24, size, batch_first=True)
        self.decoder = nn.Linear(size, words)

    def forward(self, ids):
        x, _ = self.rnn(self.encoder(ids))
        x, _ = self.gru(x)
        return self.decoder(x)


class Attention(nn.Module):
    def __init__(self, size, heads, length):
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(size, 3 * size)
        self.c_proj = nn.Linear(size, size)
        self.register_buffer("mask", torch.tril(torch.ones(length, length)).view(1, 1, length, length))

    def forward(self, x):
        batch, length, size = x.shape
        split = lambda t: t.view(batch, length, self.heads, size // self.heads).transpose(1, 2)
        q, k, v = map(split, self.c_attn(x).chunk(3, dim=2))
        scores = q @ k.transpose(-2, -1) / (size // self.heads) ** 0.5
        scores = scores.masked_fill(self.mask[:, :, :length, :length] == 0, float("-inf"))
        y = torch.softmax(scores, -1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(batch, length, size))


class Gpt(nn.Module):
    """A block of GPT-2, between its embeddings and its head."""

    def __init__(self, words=40, size=16, heads=2, length=12):
        super().__init__()
        self.wte = nn.Embedding(words, size)
        self.wpe = nn.Embedding(length, size)
        self.ln_1 = nn.LayerNorm(size)
        self.attn = Attention(size, heads, length)
        self.ln_2 = nn.LayerNorm(size)
        self.mlp = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))
        self.ln_f = nn.LayerNorm(size)
        self.head = nn.Linear(size, words, bias=False)

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1], device=ids.device))
        x = x + self.attn(self.ln_1(x))
        x = x + self.mlp(self.ln_2(x))
        return self.head(self.ln_f(x))


def main(network, mode, opset):
    torch.manual_seed(1)
    torch.set_num_threads(1)
    if network in ("resnet18", "vgg", "operators", "images"):
        model = {"resnet18": ResNet18, "vgg": Vgg, "operators": Operators, "images": Images}[network]()
        size = 64 if network == "resnet18" else 12
        images = torch.randn(4, 3, size, size)
        target, axes = torch.randint(0, 10, (4,)), {"images": {0: "batch"}}
    else:
        model, words = (LanguageModel(), 50) if network == "lstm" else (Gpt(), 40)
        images = torch.randint(0, words, (3, 9))
        target, axes = torch.randint(0, words, (3, 9)), {"images": {0: "batch", 1: "length"}}
    file = io.BytesIO()
    training = torch.onnx.TrainingMode.TRAINING if mode == "train" else torch.onnx.TrainingMode.EVAL
    torch.onnx.export(
        model, images, file, input_names=["images"], output_names=["scores"], dynamic_axes=axes,
        opset_version=int(opset), training=training, do_constant_folding=mode != "train",
    )
    model = model.double().train()
    scores = model(images.double() if images.is_floating_point() else images)
    loss = F.cross_entropy(scores.reshape(-1, scores.shape[-1]), target.reshape(-1))
    names, parameters = zip(*model.named_parameters())
    gradients = torch.autograd.grad(loss, parameters)
    header = {
        "file": len(file.getvalue()),
        "loss": loss.item(),
        "names": names,
        "shapes": [list(each.shape) for each in parameters],
        "input": images.flatten().tolist(),
        "target": target.flatten().tolist(),
    }
    sys.stdout.write(json.dumps(header) + "\n")
    sys.stdout.flush()
    sys.stdout.buffer.write(file.getvalue())
    for gradient in gradients:
        sys.stdout.buffer.write(gradient.numpy().astype("<f8").tobytes())


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        main(*argument.split(","))
        sys.stdout.flush()
