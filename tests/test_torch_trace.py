"""The recorder on small models: whatever PyTorch does with memory, the graph is what the model does."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import evsim.torch  # noqa: E402
from evsim.loading.importing import load_network  # noqa: E402
from evsim.traces.stored import verify_stored  # noqa: E402
from tests.torch_nets import N_STEPS, NEURONS, Layered, Unrolled, image, per_step, with_weights  # noqa: E402


def traced(net, example=None, axes="B,C,H,W", out=None, **options):
    used = {name for module in net.modules() for name in [type(module).__name__]}
    neurons = {name: known for name, known in NEURONS.items() if name in used}
    example = image() if example is None else example
    return evsim.torch.trace(with_weights(net), example, axes, out, neurons, **options)


def check(report, n_populations=2):
    assert report.agrees
    assert report.verification.free.differing == 0
    assert report.forced[0] == 0
    assert len(report.populations) == n_populations
    assert not report.silent, "a test of zeros"
    assert not report.dense
    return report


def test_all_steps_at_once(tmp_path):
    report = check(traced(Layered(), out=tmp_path / "net.npz"))
    assert report.n_steps == N_STEPS
    network, weights = load_network(str(tmp_path / "net.npz"))
    assert [p.name for p in network.populations()] == ["lif", "lif1"]
    assert verify_stored(network).agrees
    assert weights.header["checked"]["handlers_free"][0] == 0
    assert "0 of" in str(report)


def test_a_loop_over_steps_is_rolled_up():
    layered, unrolled = check(traced(Layered())), check(traced(Unrolled()))
    assert unrolled.n_steps == N_STEPS
    assert unrolled.n_nodes <= layered.n_nodes + 4


def test_frames_with_time_in_front_and_behind_the_batch():
    class Frames(Layered):
        def forward(self, x):
            s = self.lif(x.flatten(0, 1).view(*x.shape[:2], 3, 8, 8) * 2)
            u = self.conv1(s.flatten(0, 1).repeat(1, 3, 1, 1)[:, :8]).view(*s.shape[:2], 8, 8, 8)
            return self.head(self.lif1(u).flatten(2)).mean(0)

    class BatchFirst(Frames):
        def forward(self, x):
            return super().forward(x.transpose(0, 1).contiguous())

    frames = torch.poisson(torch.full((6, 1, 3, 8, 8), 0.5), generator=torch.Generator().manual_seed(2))
    assert check(traced(Frames(), frames, "T,B,C,H,W")).n_steps == 6
    assert check(traced(BatchFirst(), frames.transpose(0, 1), "B T C H W")).n_steps == 6


class ByStep(Layered):
    """Returns logits for each step, after something that no handler does, or that mixes steps."""

    def __init__(self, end):
        super().__init__()
        self.end = end

    def forward(self, x):
        x = x.unsqueeze(0).repeat(N_STEPS, 1, 1, 1, 1)
        s = self.lif(per_step(lambda y: self.bn(self.conv(y)), x))
        return self.end(self.head(self.lif1(per_step(self.conv1, s)).flatten(2)))


@pytest.mark.parametrize(
    "end",
    [
        lambda y: y,
        lambda y: y.log_softmax(-1),
        lambda y: y.cumsum(0),
        lambda y: y - y.mean(0, keepdim=True) / 2,
        lambda y: y.flip(0).sigmoid(),
        lambda y: y.mean(0).softmax(-1),
    ],
)
def test_logits_by_step_are_their_mean_whatever_was_done_to_them(end):
    report = check(traced(ByStep(end)))
    assert report.verification.logits_difference < 1e-5
    assert report.verification.predictions_differing == 0


class InPlace(Layered):
    def middle(self, s):
        s = s * 1
        s += s.flip(-1)
        s *= s.roll(1, -2)
        return s


class WrittenNeuronOutput(Layered):
    """The network writes into what the neurons sent."""

    def middle(self, s):
        s += 1
        s -= 1
        return s


class ThroughAView(Layered):
    """A view is written, the base and another view see it."""

    def middle(self, s):
        base = s.clone()
        other = base[..., 4:]
        base[..., :4] = s[..., 4:]
        base[..., 7] = 0
        return torch.cat([base[..., :4], other], -1)


class ViewReadAfterTheBaseChanged(Layered):
    def middle(self, s):
        base = s.clone()
        view = base.flatten(3)
        base.mul_(base.roll(1, 3))
        return view.unflatten(3, (8, 8))


class Padded(Layered):
    """Zeros first, then the middle is written."""

    def middle(self, s):
        out = torch.zeros(*s.shape[:3], 10, 10)
        out[..., 1:-1, 1:-1] = s
        return out[..., 1:-1, 2:]


class FilledByIndex(Layered):
    def middle(self, s):
        out = torch.zeros_like(s)
        for step in range(s.shape[0]):
            out[step] = s[step].roll(1, -1)
        return out


class ShapeInPlace(Layered):
    def middle(self, s):
        s = s * 1
        return s.unsqueeze_(0).squeeze_(0).transpose_(3, 4)


class Unbound(Layered):
    def middle(self, s):
        a, b = s.chunk(2, dim=2)
        return torch.cat([b, a], 2)


class Detached(Layered):
    def middle(self, s):
        alias = s.detach()
        alias *= s.roll(1, 2)
        return s


@pytest.mark.parametrize(
    "kind",
    [InPlace, WrittenNeuronOutput, ThroughAView, ViewReadAfterTheBaseChanged, Padded, FilledByIndex, ShapeInPlace,
     Unbound, Detached],
)  # fmt: skip
def test_memory_that_is_shared_and_overwritten(kind):
    check(traced(kind()))


class SumOfSteps(Unrolled):
    def read(self, out):
        total = 0
        for logits in out:
            total = total + logits
        return total


class LastStep(Unrolled):
    def read(self, out):
        return out[-1]


class LargestStep(Unrolled):
    def read(self, out):
        return torch.stack(out).max(0).values


class EachStep(Unrolled):
    def read(self, out):
        return torch.stack(out)


class WeightedSteps(Unrolled):
    def __init__(self):
        super().__init__()
        self.share = nn.Parameter(torch.linspace(0, 1, N_STEPS).reshape(-1, 1, 1))

    def read(self, out):
        return (torch.stack(out) * self.share).sum(0)


@pytest.mark.parametrize("kind", [SumOfSteps, LastStep, LargestStep, EachStep, WeightedSteps])
def test_readouts_that_mix_steps(kind):
    assert check(traced(kind())).verification.logits_difference < 1e-5


def test_a_batch_is_cut_to_one():
    check(traced(Layered(), image(3, 3, 8, 8)))


def test_the_model_is_left_as_it_was():
    net = with_weights(Layered())
    before = net(image())
    forwards = [module.forward for module in net.modules()]
    traced(net)
    assert [module.forward for module in net.modules()] == forwards
    assert all("forward" not in vars(module) for module in net.modules())
    assert torch.equal(net(image()), before)


def test_a_file_is_smaller_than_the_checkpoint_and_a_tenth_and_bits(tmp_path):
    net = with_weights(Layered())
    report = traced(net, out=tmp_path / "net.npz")
    torch.save(net.state_dict(), tmp_path / "net.pth")
    n_bits = sum(n for n, _ in report.populations.values()) * N_STEPS
    fixed = 40_000  # names, the graph, the example: of no weight in a network of any size
    assert report.n_bytes <= 1.1 * (tmp_path / "net.pth").stat().st_size + n_bits / 8 + fixed


def test_quantisers_stand_in_several_places():
    class Quantised(nn.Module):
        def forward(self, x):
            return torch.round(torch.clamp(x, 0, 4)) / 4

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.conv1, self.spike = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), Quantised()
            self.head = nn.Linear(8 * 16, 5)

        def forward(self, x):
            return self.head(self.spike(self.conv1(self.spike(self.conv(x)))).flatten(1))

    neurons = {"Quantised": evsim.torch.quantiser(0, 4, norm=4)}
    report = evsim.torch.trace(with_weights(Net()), image(), "B,C,H,W", neurons=neurons)
    assert report.n_steps == 1
    assert check(report).populations.keys() == {"spike", "spike#1"}


def test_spikingjelly_in_both_step_modes(tmp_path):
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based import functional, layer, neuron

    def net(mode):
        made = nn.Sequential(
            layer.Conv2d(2, 8, 3, padding=1), neuron.LIFNode(v_reset=None), layer.MaxPool2d(2),
            layer.Conv2d(8, 8, 3, padding=1), neuron.ParametricLIFNode(init_tau=3.0, decay_input=False),
            layer.Flatten(), layer.Linear(8 * 16, 5), neuron.IFNode(),
        )  # fmt: skip
        functional.set_step_mode(made, mode)
        return made

    frames = torch.poisson(torch.full((N_STEPS, 1, 2, 8, 8), 1.0), generator=torch.Generator().manual_seed(3))
    report = evsim.torch.trace(with_weights(net("m"), scale=1.5), frames, "T,B,C,H,W", tmp_path / "net.npz")
    check(report, 3)

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net("s")

        def forward(self, x):
            return torch.stack([self.net(step) for step in x]).mean(0)

    check(evsim.torch.trace(with_weights(Loop(), scale=1.5), frames, "T,B,C,H,W"), 3)


def test_snntorch_with_channels_of_their_own():
    snn = pytest.importorskip("snntorch")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.lif = nn.Conv2d(3, 8, 3), snn.Leaky(beta=torch.linspace(0.3, 0.9, 8).reshape(8, 1, 1))
            self.fc, self.lif1 = nn.Linear(8 * 36, 5), snn.Synaptic(alpha=0.5, beta=0.8, reset_mechanism="zero")

        def forward(self, x):
            mem, (syn, mem1), out = self.lif.reset_mem(), self.lif1.reset_mem(), []
            for _ in range(N_STEPS):
                spikes, mem = self.lif(self.conv(x), mem)
                spikes, syn, mem1 = self.lif1(self.fc(spikes.flatten(1)), syn, mem1)
                out.append(spikes)
            return torch.stack(out).sum(0)

    check(evsim.torch.trace(with_weights(Net()), image(), "B,C,H,W"))


def test_norse_with_a_leaky_integrator_as_readout():
    norse = pytest.importorskip("norse.torch")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.lif, self.fc, self.li = (
                nn.Conv2d(3, 8, 3),
                norse.LIFCell(),
                nn.Linear(8 * 36, 5),
                norse.LICell(),
            )

        def forward(self, x):
            state, readout, out = None, None, []
            for _ in range(12):
                spikes, state = self.lif(self.conv(x) * 4, state)
                voltage, readout = self.li(self.fc(spikes.flatten(1)), readout)
                out.append(voltage)
            return torch.stack(out).max(0).values

    report = check(evsim.torch.trace(with_weights(Net()), image(), "B,C,H,W"), 1)
    assert report.verification.logits_difference < 1e-4


def test_the_command_records_a_file_of_ones_own(tmp_path, evsim):
    pytest.importorskip("spikingjelly")
    (tmp_path / "mymodel.py").write_text(MY_MODEL)
    np.save(tmp_path / "x.npy", image().numpy())
    words = ["import", "--from-torch", tmp_path / "mymodel.py:build", "--axes", "B,C,H,W", "-o", tmp_path / "net.npz"]
    code, out, error = evsim(*words, "--example", tmp_path / "x.npy", "--build-args", '{"n_steps": 3}')
    assert (code, error) == (0, "")
    assert "recorded" in out
    assert "wrote" in out
    assert evsim("verify", "-w", tmp_path / "net.npz")[0] == 0


MY_MODEL = """
import torch
from torch import nn
from spikingjelly.activation_based import neuron


class Net(nn.Module):
    def __init__(self, n_steps):
        super().__init__()
        torch.manual_seed(0)
        self.n_steps = n_steps
        self.conv, self.lif, self.head = nn.Conv2d(3, 8, 3), neuron.LIFNode(step_mode="m"), nn.Linear(8 * 36, 5)
        nn.init.normal_(self.conv.weight, 0, 0.5)

    def forward(self, x):
        s = self.lif(self.conv(x).unsqueeze(0).repeat(self.n_steps, 1, 1, 1, 1))
        return self.head(s.flatten(2)).mean(0)


def build(n_steps=4):
    return Net(n_steps)


def broken():
    raise ValueError("no such thing")
"""


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"--from-torch": "{folder}/none.py:build"}, "none.py: no such file"),
        ({"--from-torch": "{folder}/mymodel.py:nothing"}, "has no function nothing"),
        ({"--from-torch": "{folder}/mymodel.py"}, "expected FILE.py:FUNCTION"),
        ({"--from-torch": "{folder}/mymodel.py:broken"}, "ValueError: no such thing at mymodel.py line"),
        ({"--build-args": "[1]"}, "--build-args [1]: expected a JSON object"),
        ({"--build-args": '{"depth": 3}'}, "--build-args takes its arguments as JSON"),
        ({"--example-shape": "1,3,8"}, "--example-shape 1,3,8: expected 4 sizes"),
        ({"--example-shape": None}, "an example is needed"),
        ({"--axes": "B,C,C,W"}, "expected one letter an axis"),
        ({"--checkpoint": "{folder}/none.pth"}, "none.pth: no such file"),
    ],
)
def test_the_command_refuses_in_a_line(tmp_path, evsim, changed, expected):
    pytest.importorskip("spikingjelly")
    (tmp_path / "mymodel.py").write_text(MY_MODEL)
    told = {"--from-torch": "{folder}/mymodel.py:build", "--axes": "B,C,H,W", "--example-shape": "1,3,8,8", **changed}
    words = [word.format(folder=tmp_path) if word.startswith("{folder}") else word for key, value in told.items()
             if value is not None for word in (key, value)]  # fmt: skip
    code, _, error = evsim("import", *words, "-o", tmp_path / "net.npz")
    assert code == 2
    assert expected in error
    assert error.count("\n") == 1
    assert not (tmp_path / "net.npz").exists()


def test_a_checkpoint_of_another_model_is_refused(tmp_path, evsim):
    pytest.importorskip("spikingjelly")
    (tmp_path / "mymodel.py").write_text(MY_MODEL)
    torch.save({"conv.weight": torch.ones(2, 2)}, tmp_path / "x.pth")
    words = ["--axes", "B,C,H,W", "--example-shape", "1,3,8,8", "--checkpoint", tmp_path / "x.pth"]
    code, _, error = evsim("import", "--from-torch", f"{tmp_path}/mymodel.py:build", *words, "-o", tmp_path / "net.npz")
    assert code == 2
    assert "is no checkpoint of this model: it lacks the model's conv.bias, " in error
