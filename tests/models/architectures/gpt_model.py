"""GPT-2 in plain PyTorch, from its weights as Hugging Face names them: what ours is compared with."""

import math

import torch
import torch.nn.functional as F


def rotary(x, base=10_000.0):
    """Features i and i + size / 2 of each head as a complex number, times e^(i · place · base^(−2 i / size))."""
    length, half = x.shape[-2], x.shape[-1] // 2
    numbers = lambda count: torch.arange(count, dtype=torch.float64, device=x.device)
    angles = numbers(length)[:, None] * base ** (-numbers(half) / half)
    turn = torch.polar(torch.ones_like(angles), angles).to(torch.complex128 if x.dtype == torch.float64 else torch.complex64)
    y = torch.complex(x[..., :half], x[..., half:]) * turn
    return torch.cat([y.real, y.imag], -1)


def logits_of(weights, tokens, heads, masks=None):
    """`[batch, length]` to `[batch, length, vocabulary]`; `masks` by Hugging Face's names of the dropouts."""
    w = lambda name: weights["transformer." + name]
    drop = lambda name, x: x * masks["transformer." + name] if masks else x
    batch, length = tokens.shape
    width = w("wte.weight").shape[1]
    learned = "transformer.wpe.weight" in weights
    layers = 1 + max(int(name.split(".")[2]) for name in weights if ".h." in name)
    norm = lambda name, x: F.layer_norm(x, (width,), w(name + ".weight"), w(name + ".bias"))
    linear = lambda name, x: torch.addmm(w(name + ".bias"), x.reshape(-1, x.shape[-1]), w(name + ".weight")).view(
        batch, length, -1)
    unseen = torch.ones(length, length, dtype=torch.bool, device=tokens.device).triu(1)
    x = F.embedding(tokens, w("wte.weight"))
    if learned:
        x = x + w("wpe.weight")[:length]
    x = drop("drop", x)
    for layer in range(layers):
        h = f"h.{layer}."
        parts = linear(h + "attn.c_attn", norm(h + "ln_1", x)).split(width, -1)
        q, k, v = (part.view(batch, length, heads, -1).transpose(1, 2) for part in parts)
        if not learned:
            q, k = rotary(q), rotary(k)
        scores = (q @ k.transpose(-1, -2)) * (1 / math.sqrt(width // heads))
        seen = drop(h + "attn.attn_dropout", F.softmax(scores.masked_fill(unseen, float("-inf")), -1))
        y = (seen @ v).transpose(1, 2).reshape(batch, length, width)
        x = x + drop(h + "attn.resid_dropout", linear(h + "attn.c_proj", y))
        y = F.gelu(linear(h + "mlp.c_fc", norm(h + "ln_2", x)), approximate="tanh")
        x = x + drop(h + "mlp.dropout", linear(h + "mlp.c_proj", y))
    return F.linear(norm("ln_f", x), w("wte.weight"))


def loss_of(weights, tokens, targets, heads, masks=None):
    """Mean cross entropy in nats a token."""
    logits = logits_of(weights, tokens, heads, masks)
    return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))


def first_weights(vocabulary, layers, width, context):
    """Random weights in GPT-2's order; matrices are `[inputs, outputs]`."""
    normal = lambda *dims: (0.02 * torch.randn(*dims)).requires_grad_()
    full = lambda value, *dims: torch.full(dims, float(value), requires_grad=True)
    weights = {"transformer.wte.weight": normal(vocabulary, width), "transformer.wpe.weight": normal(context, width)}
    for layer in range(layers):
        for name, inputs, outputs in (("attn.c_attn", 1, 3), ("attn.c_proj", 1, 1), ("mlp.c_fc", 1, 4),
                                      ("mlp.c_proj", 4, 1)):
            weights[f"transformer.h.{layer}.{name}.weight"] = normal(inputs * width, outputs * width)
            weights[f"transformer.h.{layer}.{name}.bias"] = full(0, outputs * width)
        for name in ("ln_1", "ln_2"):
            weights[f"transformer.h.{layer}.{name}.weight"] = full(1, width)
            weights[f"transformer.h.{layer}.{name}.bias"] = full(0, width)
    weights["transformer.ln_f.weight"], weights["transformer.ln_f.bias"] = full(1, width), full(0, width)
    return weights
