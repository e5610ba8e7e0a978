"""One AWD-LSTM training step after another in PyTorch, as the authors' code does them, on one thread.

Arguments: batch, length, vocabulary. Speaks as step_program.ts does. The clipped step is
torch.nn.utils.clip_grad_norm_'s and SGD's.
"""

import sys

from measured import serve
import torch
import torch.nn.functional as F

batch, length, vocabulary = map(int, sys.argv[1:4])
sizes = [400, 1150, 1150, 400]
uniform = lambda bound, *dims: torch.empty(*dims).uniform_(-bound, bound).requires_grad_()
encoder, bias = uniform(0.1, vocabulary, 400), torch.zeros(vocabulary, requires_grad=True)
rnns = []
for inputs, size in zip(sizes, sizes[1:]):
    bound = size**-0.5
    rnns.append([uniform(bound, 4 * size, inputs), uniform(bound, 4 * size, size), uniform(bound, 4 * size),
                 uniform(bound, 4 * size)])
parameters = [encoder, *(weight for rnn in rnns for weight in rnn), bias]
optimizer = torch.optim.SGD(parameters, lr=30.0, weight_decay=1.2e-6)
states = [(torch.zeros(1, batch, size), torch.zeros(1, batch, size)) for size in sizes[1:]]
mask = lambda p, *dims: torch.empty(*dims).bernoulli_(1 - p).div_(1 - p)


def step():
    global states
    words = torch.randint(vocabulary, (length, batch))
    targets = torch.randint(vocabulary, (length * batch,))
    optimizer.zero_grad(set_to_none=True)
    x = F.embedding(words, encoder * mask(0.1, vocabulary, 1)) * mask(0.4, 1, batch, 400)
    after = []
    for i, (by_input, by_hidden, *biases) in enumerate(rnns):
        dropped = by_hidden * mask(0.5, by_hidden.shape[0], 1)
        raw, *state = torch._VF.lstm(x, states[i], [by_input, dropped, *biases], True, 1, 0.0, True, False, False)
        after.append(tuple(each.detach() for each in state))
        x = raw * mask(0.4 if i == 2 else 0.25, 1, batch, raw.shape[2])
    states = after
    loss = F.cross_entropy(F.linear(x.flatten(0, 1), encoder, bias), targets)
    loss = loss + 2 * x.pow(2).mean() + (raw[1:] - raw[:-1]).pow(2).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 7.5 / 30)
    optimizer.step()
    return loss.item()


serve(step)
