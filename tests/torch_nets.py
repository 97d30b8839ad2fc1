"""Small spiking networks in plain PyTorch, with neurons of their own, for the recorder."""

import torch
from torch import nn

import evsim.torch


class StepLIF(nn.Module):
    """One step a call, the membrane kept between calls."""

    def __init__(self, tau=2.0):
        super().__init__()
        self.tau, self.v = tau, None

    def reset(self):
        self.v = None

    def forward(self, x):
        v = torch.zeros_like(x) if self.v is None else self.v
        h = v + (x - v) / self.tau
        s = (h >= 1).float()
        self.v = h * (1 - s)
        return s


class LIF(nn.Module):
    """All steps in a call, time first."""

    def forward(self, x):
        v, out = torch.zeros_like(x[0]), []
        for step in x:
            h = v + (step - v) / 2
            out.append((h >= 1).float())
            v = h * (1 - out[-1])
        return torch.stack(out)


NEURONS = {"StepLIF": lambda m: evsim.torch.lif(m.tau), "LIF": evsim.torch.lif(steps="all")}
N_STEPS = 4


def with_weights(net, seed=0, scale=1.0):
    """Weights that make every population fire now and then, evaluation mode."""
    random = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, 0.3 * scale / fan_in**0.5, 1.5 * scale / fan_in**0.5, generator=random)
            if module.bias is not None:
                nn.init.uniform_(module.bias, 0, 0.3, generator=random)
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for tensor, low, high in (
                (module.weight, 0.5, 1.5), (module.bias, 0.2, 0.8), (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.3, 1.0),
            ):  # fmt: skip
                nn.init.uniform_(tensor, low, high, generator=random)
    return net.eval()


def image(*shape, seed=1):
    return torch.randn(*(shape or (1, 3, 8, 8)), generator=torch.Generator().manual_seed(seed))


def per_step(layer, x):
    """A layer on [T, B, ...]."""
    return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class Layered(nn.Module):
    """Convolution, neurons, classifier; all steps at once."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.lif = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), LIF()
        self.conv1, self.lif1, self.head = nn.Conv2d(8, 8, 3, padding=1), LIF(), nn.Linear(8 * 64, 5)

    def forward(self, x):
        x = x.unsqueeze(0).repeat(N_STEPS, 1, 1, 1, 1)
        s = self.lif(per_step(lambda y: self.bn(self.conv(y)), x))
        s = self.middle(s)
        return self.head(self.lif1(per_step(self.conv1, s)).flatten(2)).mean(0)

    def middle(self, s):
        return s


class Unrolled(nn.Module):
    """The same as a loop over steps in Python."""

    def __init__(self):
        super().__init__()
        self.conv, self.lif = nn.Conv2d(3, 8, 3, padding=1), StepLIF()
        self.conv1, self.lif1, self.head = nn.Conv2d(8, 8, 3, padding=1), StepLIF(), nn.Linear(8 * 64, 5)

    def forward(self, x):
        out = []
        for _ in range(N_STEPS):
            out.append(self.head(self.lif1(self.conv1(self.lif(self.conv(x)))).flatten(1)))
        return self.read(out)

    def read(self, out):
        return torch.stack(out).mean(0)
