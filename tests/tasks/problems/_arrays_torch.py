"""Steps of plain SGD or AdamW of a multilayer perceptron in PyTorch, on given batches.

Standard input has the job as JSON; standard output gets the weights after the last step and the losses.
"""

import json
import sys

import torch
from torch import nn

torch.set_num_threads(1)
job = json.load(sys.stdin)
widths = job["widths"]
layers = []
for before, after in zip(widths, widths[1:]):
    layers += [nn.Linear(before, after), nn.ReLU()]
network = nn.Sequential(*layers[:-1])
network.load_state_dict({
    name: torch.tensor(values).reshape(network.state_dict()[name].shape)
    for name, values in job["weights"].items()
})
loss_of = {"mse": nn.MSELoss(), "cross-entropy": nn.CrossEntropyLoss()}[job["loss"]]
if job["adamw"]:
    optimizer = torch.optim.AdamW(network.parameters(), lr=job["lr"], weight_decay=0)
else:
    optimizer = torch.optim.SGD(network.parameters(), lr=job["lr"])
losses = []
for batch in job["batches"]:
    x = torch.tensor(batch["input"]).reshape(-1, widths[0])
    target = torch.tensor(batch["target"])
    predicted = network(x)
    loss = loss_of(predicted[:, 0] if job["loss"] == "mse" else predicted, target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
weights = {name: value.flatten().tolist() for name, value in network.state_dict().items()}
print(json.dumps({"weights": weights, "losses": losses}))
