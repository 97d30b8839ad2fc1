import pytest

from evsim.engine.current import Current
from evsim.engine.network import INPUT, Edge, Network
from evsim.errors import EvsimError, NetworkError
from evsim.handlers.neurons import LIF
from evsim.handlers.readout import Readout, TokenMean
from tests.nets import random_network


class Stub:
    """A handler of which only the name and the wakers matter."""

    def __init__(self, name, wakers=()):
        self.name, self.wakers = name, wakers
        self.n_resets = 0

    def reset(self):
        self.n_resets += 1


@pytest.fixture
def net():
    return Network("net", (4, 4, 1), 2)


def test_handlers_keep_the_order_in_which_they_were_added(net):
    names = [net.add(Stub("a"), INPUT), net.add(Stub("b"), "a"), net.add(Stub("c"), q="a", k="b")]
    assert names == ["a", "b", "c"]
    assert [handler.name for handler in net.handlers] == names
    assert net.sources == [{"spikes": INPUT}, {"spikes": "a"}, {"q": "a", "k": "b"}]


def test_an_edge_says_the_stage_and_port_it_leads_to(net):
    net.add(Stub("a"), INPUT)
    net.add(Stub("b"), "a")
    net.add(Stub("c"), q="a", k="b")
    assert net.edges_from(INPUT) == [Edge(0, "spikes")]
    assert net.edges_from("a") == [Edge(1, "spikes"), Edge(2, "q")]
    assert net.edges_from("c") == []


def test_a_reader_of_a_shared_current_is_woken_by_each_writer_before_it(net):
    net.add(Stub("first"), INPUT)
    net.add(Stub("second"), INPUT)
    net.add(Stub("neurons", wakers=("first", "second")))
    assert net.edges_from("first") == [Edge(2, "first", wakes=True)]
    assert net.edges_from("second") == [Edge(2, "second", wakes=True)]


def test_every_edge_of_a_network_points_forward():
    net = random_network(0)
    stages = {INPUT: -1, **{handler.name: stage for stage, handler in enumerate(net.handlers)}}
    edges = [(stages[name], edge) for name in stages for edge in net.edges_from(name)]
    assert len(edges) > len(net.handlers)
    assert all(stage < edge.stage for stage, edge in edges)


def test_an_edge_pointing_backwards_cannot_be_declared(net):
    net.add(Stub("a"), INPUT)
    with pytest.raises(NetworkError, match="net: 'b' listens to 'c', which is not before it"):
        net.add(Stub("b"), "c")


def test_a_handler_cannot_listen_to_itself(net):
    with pytest.raises(NetworkError, match="'a' listens to 'a'"):
        net.add(Stub("a"), "a")


def test_a_reader_cannot_come_before_a_writer_of_its_current(net):
    with pytest.raises(NetworkError, match="'neurons' listens to 'conv'"):
        net.add(Stub("neurons", wakers=("conv",)))


@pytest.mark.parametrize("name", ["a", INPUT])
def test_a_name_can_be_used_once(net, name):
    net.add(Stub("a"), INPUT)
    with pytest.raises(NetworkError, match=f"net: two handlers are called '{name}'"):
        net.add(Stub(name), INPUT)


def test_a_refused_handler_leaves_no_edge_behind(net):
    net.add(Stub("a"), INPUT)
    with pytest.raises(NetworkError):
        net.add(Stub("b"), q="a", k="nowhere")
    assert net.edges_from("a") == []
    assert len(net.handlers) == 1


def test_network_errors_are_errors_a_person_may_see():
    assert issubclass(NetworkError, EvsimError)


def test_populations_and_sleepless_stages_are_found(net):
    currents = [Current(1, 1) for _ in range(3)]
    for i, bias in enumerate((0.0, 1.0)):
        currents[i].join_writer(f"writer{i}", [bias])
        net.add(Stub(f"writer{i}"), INPUT)
        net.add(LIF(f"lif{i}", currents[i], (1,), "channel"))
    assert [p.name for p in net.populations()] == ["lif0", "lif1"]
    assert list(net.sleepless_stages()) == [3]


def test_the_readout_is_the_last_handler(net):
    with pytest.raises(NetworkError, match="net: the last handler must be a Readout"):
        _ = net.readout
    current, mean = Current(1, 2), Current(1, 2)
    net.add(TokenMean("mean", current, mean))
    with pytest.raises(NetworkError, match="must be a Readout"):
        _ = net.readout
    net.add(Readout("readout", mean))
    assert net.readout.name == "readout"


def test_reset_reaches_every_handler(net):
    stubs = [Stub("a"), Stub("b")]
    for stub in stubs:
        net.add(stub, INPUT)
    net.reset()
    assert [stub.n_resets for stub in stubs] == [1, 1]
