"""What the recorder refuses: one line, with the module's path, what is wrong, why, and what to do."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import evsim.torch  # noqa: E402
from evsim.errors import EvsimError  # noqa: E402
from evsim.torch.example import other_examples  # noqa: E402
from tests.torch_nets import LIF, N_STEPS, NEURONS, Layered, StepLIF, Unrolled, image, per_step, with_weights  # noqa: E402


def refusal(net, example=None, axes="B,C,H,W", neurons=None, prepare=with_weights, **options):
    known = NEURONS if neurons is None else neurons
    known = {name: one for name, one in known.items() if any(type(m).__name__ == name for m in net.modules())}
    with pytest.raises(EvsimError) as caught:
        evsim.torch.trace(prepare(net), image() if example is None else example, axes, neurons=known, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_training_mode():
    assert refusal(Layered(), prepare=lambda net: net.train()) == "the model is in training mode, expected model.eval()"


def test_no_neurons():
    message = refusal(Layered(), neurons={})
    assert "no neurons of a known class (it has Conv2d, BatchNorm2d, LIF, Linear): pass neurons=" in message
    more = nn.Sequential(*(kind() for kind in (nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.Tanh, nn.Sigmoid)))
    assert "(it has ReLU, GELU, SiLU, ELU, Tanh, ...)" in refusal(more, neurons={})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(value):
    def prepare(net):
        with_weights(net).conv1.weight.data[0, 0, 0, 0] = value
        return net

    message = refusal(Layered(), prepare=prepare)
    assert message == "conv1.weight is not finite: 1 of its 576 values are NaN or infinite"


def test_neurons_nobody_knows():
    snn = pytest.importorskip("snntorch")
    net = nn.Sequential(nn.Linear(4, 4), snn.Lapicque(beta=0.5))
    message = refusal(net, image(1, 4), "B,C", {})
    assert message == "1: neurons of class Lapicque are not known: pass neurons={'Lapicque': evsim.torch.lif(...)}"


def test_neurons_of_a_name_the_model_does_not_have():
    with pytest.raises(EvsimError, match=r"^neurons=\{'Lif': ...\}: the model has no module of a class of that name"):
        evsim.torch.trace(with_weights(Layered()), image(), "B,C,H,W", neurons={"Lif": evsim.torch.lif()})


@pytest.mark.parametrize("known", [evsim.torch.lif(3.0, steps="all"), evsim.torch.lif(v_threshold=0.9, steps="all")])
def test_neurons_that_are_not_what_was_said(known):
    message = refusal(Layered(), neurons={"LIF": known})
    assert message.startswith("lif: LIF does not behave as Leaky: ")
    assert "spikes differ under random currents" in message


class Homemade(nn.Module):
    """Neurons that nobody told the recorder about: it sees their operations."""

    forward = LIF.forward


def test_neurons_nobody_named_show_as_their_operations():
    class Net(Layered):
        def __init__(self):
            super().__init__()
            self.lif = Homemade()

    message = refusal(Net())
    assert message.startswith("lif: ")
    assert "neurons={'Homemade': evsim.torch.lif(...)}" in message


class TimeSplit(Layered):
    """Attention over chunks of two steps."""

    def middle(self, s):
        return s.reshape(2, 2, *s.shape[1:]).sum(1, keepdim=True).expand(2, 2, *s.shape[1:]).flatten(0, 1)


def test_a_reshape_that_splits_time():
    message = refusal(TimeSplit())
    assert message.startswith("the model: a reshape splits the axis of time (4 -> 2): attention across steps needs")


class TemporalGate(Layered):
    def middle(self, s):
        return s * s.mean((0, 2, 3, 4), keepdim=True)


def test_neurons_behind_a_sum_over_time():
    assert refusal(TemporalGate()) == "lif1: neurons behind mean over the axis of time"


class PerStepWeights(Layered):
    def __init__(self):
        super().__init__()
        self.share = nn.Parameter(torch.linspace(0.5, 1, N_STEPS).reshape(-1, 1, 1, 1, 1))

    def middle(self, s):
        return s * self.share


def test_neurons_behind_other_weights_at_each_step():
    assert refusal(PerStepWeights()) == "lif1: neurons behind mul with another weight at each step"


class FirstStepIsOther(Unrolled):
    def forward(self, x):
        out = []
        for step in range(N_STEPS):
            given = self.conv(x) if step else self.conv(x) * 2
            out.append(self.head(self.lif1(self.conv1(self.lif(given))).flatten(1)))
        return torch.stack(out).mean(0)


def test_steps_that_differ():
    message = refusal(FirstStepIsOther())
    assert message.startswith("lif: is fed by another computation in call 1 than in call 0: the steps differ, or the")


class CalledThreeTimes(Layered):
    def middle(self, s):
        return self.lif(self.lif(s * 2) * 2)


def test_a_multi_step_module_called_again():
    message = refusal(CalledThreeTimes())
    assert message.startswith("lif: a multi-step neuron module is called 3 times; its state at the end of one call")


class Recurrent(Unrolled):
    """A step reads what the step before has sent."""

    def forward(self, x):
        out, back = [], torch.zeros(1, 8, 8, 8)
        for _ in range(N_STEPS):
            back = self.lif(self.conv(x) + back)
            out.append(self.head(self.lif1(self.conv1(back)).flatten(1)))
        return torch.stack(out).mean(0)


def test_recurrent_connections():
    message = refusal(Recurrent())
    assert message.startswith("lif: ")
    assert "call 1" in message


class BatchStatistics(Layered):
    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm2d(8, track_running_stats=False)

    def forward(self, x):
        return super().forward(x)


def test_a_batch_norm_that_reads_the_batch():
    net = BatchStatistics()

    def prepare(net):
        return net.eval()

    assert "bn: reads the batch axis" in refusal(net, prepare=prepare)


class NoTime(Layered):
    def forward(self, x):
        return self.head(self.lif1(self.conv1(self.lif(self.conv(x)))).flatten(1))


def test_time_that_cannot_be_found():
    message = refusal(NoTime(), image(4, 3, 8, 8), "N,C,H,W")
    assert message == "lif: the first axis of its input is not recognised as time: check axes=..."


class TimeBehindTheBatch(Layered):
    def forward(self, x):
        return self.head(self.lif1(per_step(self.conv1, self.lif(per_step(self.conv, x)))).flatten(2)).mean(0)


def test_time_in_another_place_than_the_neurons_expect():
    frames = torch.poisson(torch.ones(1, N_STEPS, 3, 8, 8))
    message = refusal(TimeBehindTheBatch(), frames, "B,T,C,H,W")
    assert "time is axis 1 of its input, expected the first: say axes=..." in message


class Random(Layered):
    def middle(self, s):
        return s * torch.bernoulli(torch.full_like(s, 0.5))


def test_a_model_that_draws_at_random():
    assert refusal(Random()).startswith("the model's output is not a function of the input alone")


class NotReset(Unrolled):
    def __init__(self):
        super().__init__()
        self.count = 0

    def forward(self, x):
        self.count += 1
        return super().forward(x) * self.count


def test_a_model_that_remembers_the_run_before():
    assert refusal(NotReset()).startswith("the model's output is not a function of the input alone")


class DependsOnData(Layered):
    def middle(self, s):
        return s if float(s.mean()) > 0.2 else s.flip(-1)


def test_a_model_that_branches_on_its_data():
    net = with_weights(DependsOnData())
    quiet = -10 * torch.ones(1, 3, 8, 8)
    message = refusal(net, 3 * image().abs(), second=quiet)
    assert message.startswith("the model computes something else on another sample")


class Frames(nn.Module):
    def __init__(self, begin):
        super().__init__()
        self.begin, self.conv, self.lif, self.head = begin, nn.Conv2d(2, 8, 3), LIF(), nn.Linear(8 * 36, 5)

    def forward(self, x):
        return self.head(self.lif(per_step(self.conv, self.begin(x))).flatten(2)).mean(0)


BY_ITS_DATA = {
    "max": lambda x: x * float(x.max()),
    "mean": lambda x: x - float(x.mean()),
    "smallest": lambda x: x * float(x[x > 0].min()),
    "how many": lambda x: x * (int((x > 0).sum()) / 100),
    "sum": lambda x: x * 2 if x.sum() > 3 else x,
    "large sum": lambda x: x * 2 if x.sum() > 300 else x,
}


@pytest.mark.parametrize("name", BY_ITS_DATA)
@pytest.mark.parametrize("kind", ["spikes", "counts", "voltages"])
def test_a_model_that_computes_with_numbers_of_its_data(name, kind):
    random = torch.Generator().manual_seed(1)
    frames = torch.poisson(torch.full((N_STEPS, 1, 2, 8, 8), 0.4), generator=random)
    frames = {"spikes": frames.clamp(max=1), "counts": frames, "voltages": frames * 0.7}[kind]
    message = refusal(Frames(BY_ITS_DATA[name]), frames, "T,B,C,H,W")
    assert message.startswith("the model computes something else on another sample"), message
    assert "made from the first" in message


def test_samples_made_from_one():
    for example in (torch.tensor([0.0, 1, 0, 3, 1, 0]), torch.tensor([0.2, -1, 0.4]), torch.zeros(4)):
        made = other_examples(example)
        numbers = [(float(x.sum()), float(x.mean()), float(x.abs().max())) for x in (example, *made.values())]
        assert all(len(set(found)) == 3 for found in zip(*numbers, strict=True))
        whole = bool((example == example.round()).all())
        for x in made.values():
            assert (x.shape, x.dtype) == (example.shape, example.dtype)
            assert bool((x == x.round()).all()) == whole
            assert float(x.min()) >= 0


class Softmax(Layered):
    def middle(self, s):
        return torch.softmax(s, 2) * 8


def test_an_operation_without_events():
    message = refusal(Softmax())
    assert message.startswith("the model: operation softmax has no event-driven form here")
    assert "allow_dense (--allow-dense) runs it densely and counts it so" in message


def test_and_the_option_that_runs_it():
    report = evsim.torch.trace(
        with_weights(Softmax()), image(), "B,C,H,W", neurons={"LIF": NEURONS["LIF"]}, allow_dense=True
    )
    assert list(report.dense.values()) == ["softmax"]
    assert "runs densely, counted apart: 1" in str(report)


def test_a_silent_last_population():
    net = with_weights(Layered())
    nn.init.constant_(net.conv1.weight, -1.0)
    nn.init.constant_(net.conv1.bias, 0.0)
    message = refusal(net, prepare=lambda net: net)
    assert message.startswith(
        "lif1: the last population never fires on this example: nothing was verified; give a real"
    )
    report = evsim.torch.trace(net, image(), "B,C,H,W", neurons={"LIF": NEURONS["LIF"]}, allow_silent=True)
    assert report.silent == ["lif1"]
    assert "silent on this example" in str(report)


@pytest.mark.parametrize(
    ("example", "axes", "expected"),
    [
        (image(), "B,C,W", "has shape [1, 3, 8, 8], expected 3 axes"),
        (image(), "B,C,C,W", "expected one letter an axis, each once"),
        (image(), "", "expected one letter an axis"),
        (image() * float("nan"), "B,C,H,W", "values that are not finite"),
        (image()[:, :0], "B,C,H,W", "is empty"),
        (["a"], "B", "expected an array of numbers"),
    ],
)
def test_examples_that_are_none(example, axes, expected):
    assert expected in refusal(Layered(), example, axes)


class ReadsTheMembrane(nn.Module):
    def __init__(self):
        super().__init__()
        import snntorch

        self.fc, self.lif = nn.Linear(192, 5), snntorch.Leaky(beta=0.5)

    def forward(self, x):
        mem = self.lif.reset_mem()
        for _ in range(N_STEPS):
            _, mem = self.lif(self.fc(x.flatten(1)), mem)
        return mem


def test_a_model_that_reads_membranes():
    pytest.importorskip("snntorch")
    assert refusal(ReadsTheMembrane()) == "lif: its membrane is read, expected its spikes alone"


def test_a_neuron_that_writes_into_its_input():
    class Rude(StepLIF):
        def forward(self, x):
            x.mul_(1)
            return super().forward(x)

    class Net(Unrolled):
        def __init__(self):
            super().__init__()
            self.lif = Rude()

    neurons = {"Rude": evsim.torch.lif(), "StepLIF": evsim.torch.lif()}
    assert refusal(Net(), neurons=neurons).startswith("lif: this neuron module writes into its input")


class Returns(Layered):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, x):
        return self.change(super().forward(x))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda y: y.argmax(-1), "the model returns int64 [1], expected its logits: return them, not the class"),
        (lambda y: y > 0, "the model returns bool [1, 5], expected its logits: return them, not the class"),
        (lambda y: y.sum(), "the model returns one number of shape [], expected its logits: return one a class"),
        (lambda y: y.sum(-1), "the model returns one number of shape [1], expected its logits: return one a class"),
        (lambda y: "cat", "the model returns str without a tensor, expected logits"),
        (lambda y: {}, "the model returns dict without a tensor, expected logits"),
    ],
)
def test_outputs_that_are_no_logits(change, expected):
    assert refusal(Returns(change)) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda y: y, ()),
        (lambda y: [y], ()),
        (lambda y: {"aux": y, "logits": 2 * y}, ("output: 'aux', the first of aux, logits",)),
        (lambda y: (y, 2 * y), ("output: the first of 2",)),
        (lambda y: y.unsqueeze(0).expand(N_STEPS, 1, 5), ()),
    ],
)
def test_what_was_chosen_is_reported(change, expected):
    report = evsim.torch.trace(with_weights(Returns(change)), image(), "B,C,H,W", neurons={"LIF": NEURONS["LIF"]})
    assert report.choices == expected
    assert all(line in str(report).splitlines() for line in expected)


def test_the_mean_over_steps_and_the_cut_of_a_batch_are_reported():
    class ByStep(Layered):
        def forward(self, x):
            x = x.unsqueeze(0).repeat(N_STEPS, 1, 1, 1, 1)
            return self.head(self.lif1(per_step(self.conv1, self.lif(per_step(self.conv, x)))).flatten(2))

    known = {"LIF": NEURONS["LIF"]}
    report = evsim.torch.trace(with_weights(ByStep()), image(4, 3, 8, 8), "B,C,H,W", neurons=known)
    assert report.choices == ("input: axis B of 4 was cut to its first", "output: mean over its 4 steps")


@pytest.mark.parametrize("axes", [None, 3, ("T", 1)])
def test_axes_that_are_no_text(axes):
    assert refusal(Layered(), axes=axes).endswith("expected a text with one letter an axis, like 'T,B,C,H,W'")


class StepModeForgotten(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.lif, self.head = nn.Linear(8, 16), StepLIF(), nn.Linear(16, 5)

    def forward(self, x):
        return self.head(self.lif(self.fc(x))).mean(0)


def test_a_single_step_module_that_is_given_all_steps():
    message = refusal(StepModeForgotten(), torch.ones(N_STEPS, 1, 8), "T,B,C")
    assert message.startswith("lif: a single-step neuron module is given all 4 steps in one call, expected one step a")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: evsim.torch.lif(steps="foo"), "a neuron's steps='foo', expected one, all or none"),
        (lambda: evsim.torch.lif(tau="a"), "Leaky: tau = a, expected finite numbers"),
        (lambda: evsim.torch.lif(v_threshold=None), "Leaky: v_threshold = None, expected finite numbers"),
        (lambda: evsim.torch.lif(v_reset="x"), "Leaky: v_reset = x, expected finite numbers"),
        (lambda: evsim.torch.lif(strict="no"), "Leaky: strict = 'no', expected bool"),
        (lambda: evsim.torch.integer("a", 4), "IntegerLeak: decay = a, expected finite numbers"),
        (lambda: evsim.torch.quantiser(0, [[1], [2, 3]]), "Quantiser: high = [[1], [2, 3]], expected finite numbers"),
        (lambda: evsim.torch.quantiser(0, 4, norm=0), "quantiser(norm=0): expected a number above 0"),
        (lambda: evsim.torch.Known(3), "a neuron's form is int, expected one like evsim.torch.lif(...).form"),
    ],
)
def test_neurons_described_by_what_is_no_number(make, expected):
    with pytest.raises(EvsimError) as caught:
        make()
    assert str(caught.value) == expected
