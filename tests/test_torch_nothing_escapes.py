"""Whatever a user's model does, the recorder records it or says in one line what it cannot; no traceback."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import evsim.torch  # noqa: E402
from evsim.errors import EvsimError  # noqa: E402
from tests.torch_nets import NEURONS, Layered, StepLIF, Unrolled, image, with_weights  # noqa: E402


def spectrum(s):
    return torch.fft.fft(s, dim=-1).real


def inplace_sort(s):
    return s.sort(-1).values


def complex_product(s):
    return torch.view_as_complex(torch.stack([s, s], -1)).abs()


def masked(s):
    return s.masked_scatter(s > 0, torch.ones_like(s))


def written_by_index(s):
    s = s.clone()
    s[..., torch.tensor([0, 2])] = 0
    return s


GRU = nn.GRU(8, 8)
MIDDLES = {
    "sort": inplace_sort,
    "topk": lambda s: s.topk(8, -1).values,
    "cumsum over time": lambda s: s.cumsum(0),
    "cumprod": lambda s: s.cumprod(-1),
    "fft": spectrum,
    "complex": complex_product,
    "gather": lambda s: s.gather(-1, torch.zeros_like(s, dtype=torch.long)),
    "index": lambda s: s[..., torch.tensor([1, 0, 3, 2, 5, 4, 7, 6])],
    "boolean index": lambda s: s[s > -1].view_as(s),
    "masked scatter": masked,
    "index put": written_by_index,
    "einsum": lambda s: torch.einsum("tbchw,tbcvw->tbchv", s, s),
    "einsum over time": lambda s: torch.einsum("tbchw,ubchw->ubchw", s, s),
    "outer": lambda s: torch.outer(s.flatten(), torch.ones(1)).view_as(s),
    "unfold": lambda s: F.unfold(s.flatten(0, 1), 3, padding=1)[:, :8].unflatten(-1, (8, 8)).unflatten(0, (4, 1)),
    "unfold view": lambda s: s.unfold(-1, 2, 1).sum(-1).repeat_interleave(2, -1)[..., :8],
    "transposed convolution": lambda s: F.conv_transpose2d(s[:, 0], torch.ones(8, 8, 1, 1)).unsqueeze(1),
    "bilinear": lambda s: F.interpolate(s.flatten(0, 1), (8, 8), mode="bilinear").unflatten(0, (4, 1)),
    "group norm": lambda s: F.group_norm(s.flatten(0, 1), 2).unflatten(0, (4, 1)),
    "layer norm": lambda s: F.layer_norm(s, (8, 8)),
    "instance norm": lambda s: F.instance_norm(s.flatten(0, 1)).unflatten(0, (4, 1)),
    "gate": lambda s: s * torch.sigmoid(s.mean((-1, -2), keepdim=True)),
    "attention": lambda s: F.scaled_dot_product_attention(s, s, s),
    "max with indices": lambda s: s + s.max(-1, keepdim=True).values,
    "max over time": lambda s: s + s.amax(0, keepdim=True),
    "argmax": lambda s: s + s.argmax(-1, keepdim=True),
    "three-dimensional pool": lambda s: F.max_pool3d(s.transpose(0, 1), 3, 1, 1).transpose(0, 1),
    "adaptive pool": lambda s: F.adaptive_max_pool2d(s.flatten(0, 1), (8, 8)).unflatten(0, (4, 1)),
    "three-dimensional convolution": lambda s: F.conv3d(
        s.permute(1, 2, 0, 3, 4), torch.ones(8, 8, 1, 1, 1)
    ).permute(2, 0, 1, 3, 4),
    "norm": lambda s: s / s.norm(dim=-1, keepdim=True).clamp(min=1),
    "linear algebra": lambda s: torch.linalg.inv(torch.eye(8) + 0 * s),
    "triangle": lambda s: s.tril(),
    "where": lambda s: torch.where(s > 0, s, torch.zeros(())),
    "bits": lambda s: (s.to(torch.int32) << 1).float(),
    "half": lambda s: s.half().float(),
    "double": lambda s: (s.double() * 2).float(),
    "roll over time": lambda s: s.roll(1, 0),
    "flip of time": lambda s: s.flip(0),
    "diagonal": lambda s: s.diagonal(dim1=-2, dim2=-1).unsqueeze(-1).expand_as(s),
    "as strided": lambda s: s.contiguous().as_strided(s.shape, s.stride()),
    "batch of time": lambda s: s.transpose(0, 1).contiguous().transpose(0, 1),
    "empty": lambda s: torch.cat([s[..., :0], s], -1),
    "division by spikes": lambda s: s / (1 + s),
    "squares": lambda s: s**2,
    "one hot": lambda s: F.one_hot(s.long(), 2).float().sum(-1) * s,
    "embedding": lambda s: F.embedding(s.long(), torch.ones(2, 1)).squeeze(-1) * s,
    "histogram": lambda s: s + torch.histc(s, 4, 0, 1).sum(),
    "a number of the data": lambda s: s * float(s.max() > -1),
    "recurrent layer": lambda s: GRU(s.reshape(4, 64, 8))[0].view_as(s),
}  # fmt: skip


class Middle(Layered):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def middle(self, s):
        return self.change(s)


def outcome(net, example=None, axes="B,C,H,W", neurons=None, **options):
    """The report, or the refusal; anything else escapes."""
    known = NEURONS if neurons is None else neurons
    known = {name: one for name, one in known.items() if any(type(m).__name__ == name for m in net.modules())}
    example = image() if example is None else example
    try:
        return evsim.torch.trace(with_weights(net), example, axes, neurons=known, allow_silent=True, **options)
    except EvsimError as error:
        message = str(error)
        assert "\n" not in message
        assert "fault of evsim" not in message, message
        assert len(message) < 600
        return message


@pytest.mark.parametrize("allow_dense", [False, True])
@pytest.mark.parametrize("name", MIDDLES)
def test_an_operation_is_recorded_or_refused_by_name(name, allow_dense):
    torch.manual_seed(0)
    found = outcome(Middle(MIDDLES[name]), allow_dense=allow_dense)
    if isinstance(found, str):
        path = found.partition(": ")[0]
        assert path in ("the model", "lif", "lif1", "conv1", "head", "bn") or "another sample" in found, found
    else:
        assert found.agrees
        assert found.dense.keys() == set() or allow_dense


class Raises(Layered):
    def middle(self, s):
        raise KeyError("of my own\nin two lines")


class RaisesOnlyOnOthers(Layered):
    def forward(self, x):
        if float(x.max()) < 0:
            raise ValueError("a dark image")
        return super().forward(x)


def test_what_the_model_raises_is_told_with_the_place():
    message = outcome(Raises())
    assert message.startswith("the model's forward fails on this example: KeyError: ")
    assert message.endswith("at test_torch_nothing_escapes.py line " + message.rpartition(" ")[2])
    dark = torch.full((1, 3, 8, 8), -100.0)
    assert "ValueError: a dark image at test_torch_nothing" in outcome(RaisesOnlyOnOthers(), second=dark)


@pytest.mark.parametrize(
    ("model", "expected"), [(lambda x: x, "expected a torch.nn.Module"), (None, "expected a torch.nn.Module")]
)
def test_what_is_no_model(model, expected):
    with pytest.raises(EvsimError, match=expected):
        evsim.torch.trace(model, image(), "B,C,H,W")


class Fed(Unrolled):
    """Two modules in a circle, as temporal interaction modules have them: the first is called at all steps but one."""

    def __init__(self):
        super().__init__()
        self.mix, self.lif2 = nn.Conv2d(8, 8, 1), StepLIF()

    def forward(self, x):
        out, before = [], None
        for _ in range(4):
            s = self.lif(self.conv(x))
            before = s if before is None else self.lif2(self.mix(before) + s)
            out.append(self.head(self.lif1(self.conv1(before)).flatten(1)))
        return torch.stack(out).mean(0)


def test_a_recurrent_connection_is_called_one():
    message = outcome(Fed())
    assert message.startswith("lif2: call 1 is fed by what it sent in an earlier call: a recurrent connection, or a ")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (lambda m: m.tau_of_mine, "neurons={'StepLIF': ...} of lif: AttributeError"),
        (3, "describes no neuron, expected evsim.torch.lif(...)"),
        (lambda m: "lif", "str describes no neuron"),
    ],
)
def test_neurons_told_wrongly(told, expected):
    assert expected in outcome(Unrolled(), neurons={"StepLIF": told})


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda snn: snn.Leaky(0.9, reset_delay=False), "0: Leaky(reset_delay=False) resets at once, and again"),
        (lambda snn: snn.Leaky(0.9, inhibition=True), "0: Leaky(inhibition=True) lets only the strongest neuron"),
        (lambda snn: snn.RLeaky(0.9, linear_features=4), "0: RLeaky feeds what it sends back to itself"),
    ],
)
def test_options_of_snntorch_that_no_form_has(make, expected):
    snn = pytest.importorskip("snntorch")
    assert outcome(nn.Sequential(make(snn)), image(1, 4), "B,C").startswith(expected)
