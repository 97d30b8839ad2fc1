"""The twins of the general handlers; see `tests.twins`, which imports this file."""

from __future__ import annotations

import numpy as np

from evsim.engine.ledger import OpCounts
from evsim.handlers.attention.qka import HeadSum, TokenGate
from evsim.handlers.average_pool import AveragePool, CurrentAveragePool
from evsim.handlers.dense_node import DenseNode
from evsim.handlers.elementwise.affine import Affine, Copy
from evsim.handlers.elementwise.axis_sum import AxisSum, Identity
from evsim.handlers.elementwise.mask import AndNot, Mask
from evsim.handlers.neuron_forms.calm import calm_range
from evsim.handlers.neuron_forms.population import FormPopulation
from evsim.handlers.payload_max_pool import PayloadMaxPool
from evsim.handlers.products.real_product import RealProduct
from evsim.handlers.products.spike_product import IntegerProduct, SpikeProduct
from evsim.handlers.projections.fixed_map import FixedMap, LinearMap
from evsim.handlers.projections.real_conv import RealConv
from evsim.handlers.projections.real_map import RealMap
from evsim.handlers.readout_program import ReadoutProgram
from evsim.handlers.views.route import Concatenate, Route
from tests import naive_general as naive
from tests.naive import conv2d, conv2d_counts
from tests.naive_forms import FormNeurons
from tests.twins import add_rows, dense, twin_of


@twin_of(Route)
def _route(handler, step, inbox, currents, memory):
    return naive.view(dense(inbox, "spikes", handler.n_inputs), handler.map.source_of), OpCounts()


@twin_of(Concatenate)
def _concatenate(handler, step, inbox, currents, memory):
    parts = [naive.view(dense(inbox, port, map.n_sources), map.source_of) for port, map in handler.maps.items()]
    return sum(parts), OpCounts()


@twin_of(Mask)
@twin_of(TokenGate)
def _mask(handler, step, inbox, currents, memory):
    maps = dict(zip(handler.ports, (handler.left, handler.right), strict=True))
    operands = [dense(inbox, port, map.n_sources) for port, map in maps.items()]
    return naive.mask(*operands, *(map.source_of for map in maps.values()))


@twin_of(AndNot)
def _and_not(handler, step, inbox, currents, memory):
    kept, absent = dense(inbox, "kept", handler.kept.n_sources), dense(inbox, "absent", handler.absent.n_sources)
    return naive.and_not(kept, absent, handler.kept.source_of, handler.absent.source_of)


@twin_of(AxisSum)
@twin_of(HeadSum)
@twin_of(Identity)
def _axis_sum(handler, step, inbox, currents, memory):
    x = dense(inbox, "spikes", handler.n_inputs)
    total, reached, counts = naive.axis_sum(x, handler.target_of, handler.n_outputs)
    if handler.current is None:
        return total, counts
    current = handler.current
    reached = reached.reshape(current.n_places, current.n_channels).any(axis=1)
    add_rows(currents.at(current, step), float(handler.unit) * total, reached)
    return None, counts


@twin_of(Affine)
@twin_of(Copy)
def _affine(handler, step, inbox, currents, memory):
    source, target = currents.at(handler.source, step), currents.at(handler.target, step)
    touched = np.repeat(source.touched, handler.source.n_channels)
    value = naive.view(source.value.reshape(-1), handler.map.source_of).reshape(target.value.shape)
    came = naive.view(touched, handler.map.source_of).reshape(target.value.shape)
    if handler.scale is not None:
        value = value * handler.scale
    add_rows(target, value * came, came.any(axis=1))
    n, is_first = int(came.sum()), handler.target.writers[0] == handler.name
    return None, OpCounts(
        residual_adds=0 if is_first else n,
        scalings=n if handler.scale is not None else 0,
        state_reads=n if is_first else 2 * n,
        state_writes=n,
    )


def matrix_of(links):
    """[n_targets, n_sources]"""
    weight = np.zeros((links.n_targets, links.n_sources))
    for source in range(links.n_sources):
        for link in range(links.start[source], links.start[source + 1]):
            weight[links.target[link], source] += links.weight[link]
    return weight


@twin_of(FixedMap)
@twin_of(LinearMap)
@twin_of(AveragePool)
def _fixed_map(handler, step, inbox, currents, memory):
    x = dense(inbox, "spikes", handler.n_inputs).reshape(-1, handler.n_channels)
    value, reached, n_links = naive.fixed_map(x, matrix_of(handler.links))
    counts = naive.added(x, n_links)
    adds_ones = handler.unit is not None or handler.divisor is not None
    if not adds_ones:
        counts += OpCounts(weight_reads=counts.event_acs)
    if handler.current is None:
        return value.reshape(-1) / (1 if handler.divisor is not None else handler.unit), counts
    if handler.divisor is not None:
        value = value / handler.divisor[:, None]
    add_rows(currents.at(handler.current, step), value, reached)
    is_scaled = adds_ones and handler.unit != 1
    return None, counts + OpCounts(scalings=int(reached.sum()) * handler.n_channels if is_scaled else 0)


@twin_of(PayloadMaxPool)
def _payload_max_pool(handler, step, inbox, currents, memory):
    window = handler.window
    x = dense(inbox, "spikes", handler.n_inputs).reshape(window.height, window.width, -1)
    return naive.payload_max_pool(x, (window.taps(0), window.taps(1)))


@twin_of(SpikeProduct)
@twin_of(IntegerProduct)
def _spike_product(handler, step, inbox, currents, memory):
    n_batch, n_rows, n_inner, n_columns = handler.sizes
    left = naive.view(dense(inbox, "left", handler.left.n_sources), handler.left.source_of)
    right = naive.view(dense(inbox, "right", handler.right.n_sources), handler.right.source_of)
    left, right = left.reshape(n_batch, n_rows, n_inner), right.reshape(n_batch, n_inner, n_columns)
    product, counts, rows = naive.spike_product(left.astype(np.int64), right.astype(np.int64))
    if type(handler) is SpikeProduct:
        counts += OpCounts(masks=counts.event_acs)
    if handler.current is None:
        return product.reshape(-1), counts
    value = (product * handler.scale[:, None, None]).reshape(-1)
    reached = np.broadcast_to(rows[:, :, None], product.shape).reshape(-1)
    _scatter(currents.at(handler.current, step), value, reached, handler._to)
    written = int(reached.sum())
    scaled = written if np.any(handler.scale != 1) else 0
    return None, counts + OpCounts(scalings=scaled, state_reads=written, state_writes=written)


@twin_of(RealProduct)
def _real_product(handler, step, inbox, currents, memory):
    n_tokens, n_batch, n_rows, n_columns = handler.sizes
    spikes = naive.view(dense(inbox, "spikes", handler.n_inputs), handler.spikes.source_of)
    spikes = spikes.reshape(n_tokens, n_batch, n_rows) != 0
    if not spikes.any():
        return None, OpCounts()
    y = (currents.at(handler.y, step).value + handler.bias).reshape(-1)
    operand = naive.view(y, handler.operand.source_of).reshape(n_batch, n_rows, n_columns)
    value, reached = naive.real_product(spikes, operand, handler.scale)
    reached = np.broadcast_to(reached[:, :, None], value.shape).reshape(-1)
    _scatter(currents.at(handler.current, step), value.reshape(-1), reached, handler._to)
    acs, n_scaled = int(spikes.sum()) * n_columns, int(reached.sum())
    bias = naive.view(np.broadcast_to(handler.bias, (handler.y.n_places, handler.y.n_channels)).reshape(-1),
                      handler.operand.source_of)  # fmt: skip
    words = operand.size + n_scaled
    return None, OpCounts(
        event_acs=acs, acs=acs, scalings=n_scaled, bias_adds=np.count_nonzero(bias),
        weight_reads=acs, state_reads=words, state_writes=words,
    )  # fmt: skip


def _scatter(rows, value, reached, to):
    """Add values to their addresses; `to` is empty where each goes to its own."""
    to = to if len(to) else np.arange(len(value))
    n_channels = rows.value.shape[1]
    for amount, is_reached, target in zip(value, reached, to, strict=True):
        rows.value[target // n_channels, target % n_channels] += amount
        rows.touched[target // n_channels] |= bool(is_reached)


@twin_of(FormPopulation)
def _form_population(handler, step, inbox, currents, memory):
    if "neurons" not in memory:
        bias = np.asarray(handler.bias, np.float32)
        calm = calm_range(handler.form, np.atleast_2d(bias))
        memory["neurons"] = FormNeurons(handler.form, handler.current.n_places, bias, calm)
    rows = currents.at(handler.current, step)
    sent, counts = memory["neurons"].step(rows.value, rows.touched)
    return sent.reshape(-1), counts


@twin_of(RealConv)
def _real_conv(handler, step, inbox, currents, memory):
    window = handler.window
    x = currents.at(handler.source, step).value.reshape(window.height, window.width, -1)
    geometry = (window.stride, window.padding, handler.groups, window.dilation)
    counts, reached = conv2d_counts(x, handler.weight.shape, *geometry)
    add_rows(currents.at(handler.current, step), conv2d(x, handler.weight, *geometry), reached)
    return None, counts


def operands_of(inputs, step, inbox, currents):
    """The dense operands of a handler that reads whole arrays."""
    arrays = []
    for source, shape, bias in zip(inputs.sources, inputs.shapes, inputs.biases, strict=True):
        flat = dense(inbox, source, int(np.prod(shape))) if bias is None else currents.at(source, step).value + bias
        arrays.append(np.asarray(flat, np.float32).reshape(shape))
    return arrays


@twin_of(DenseNode)
def _dense_node(handler, step, inbox, currents, memory):
    operands = operands_of(handler.inputs, step, inbox, currents)
    result = handler.function(*operands)
    counts = handler._cost._replace(state_reads=sum(x.size for x in operands), state_writes=np.size(result))
    if handler.target is None:
        return np.asarray(result).reshape(-1), counts
    add_rows(currents.at(handler.target, step), np.asarray(result), np.ones(handler.target.n_places, bool))
    return None, counts


@twin_of(ReadoutProgram)
def _readout_program(handler, step, inbox, currents, memory):
    operands = operands_of(handler.inputs, step, inbox, currents)
    memory.setdefault("kept", []).append(operands)
    memory[step] = handler.program(*(x[None] for x in operands)) if handler.by_step else None
    counts, is_silent = handler.cost if step == 0 else OpCounts(), not any(map(len, inbox.values()))
    for source, operand, bias in zip(handler.inputs.sources, operands, handler.inputs.biases, strict=True):
        if bias is None:
            counts += naive.added(operand, operand != 0)
        else:
            is_silent &= not currents.at(source, step).touched.any()
    for source, bias in zip(handler.inputs.sources, handler.inputs.biases, strict=True):
        if bias is not None and not is_silent:
            n = source.n_places * source.n_channels
            biased = np.count_nonzero(np.broadcast_to(bias, (source.n_places, source.n_channels)))
            counts += OpCounts(bias_adds=biased, state_reads=n, state_writes=n)
    return None, counts


@twin_of(RealMap)
@twin_of(CurrentAveragePool)
def _real_map(handler, step, inbox, currents, memory):
    source, weight = currents.at(handler.source, step), matrix_of(handler.links)
    x, n_channels = source.value.reshape(-1, handler.n_channels), handler.n_channels
    came = np.repeat(source.touched, handler.source.n_channels).reshape(-1, n_channels)
    n_links = ((weight != 0).sum(axis=0)[:, None] * came).sum()
    if not n_links:
        return None, OpCounts()
    reached = (weight != 0).astype(int) @ came.astype(int) > 0
    value = np.where(reached, (np.sign(weight) if handler.adds_ones else weight) @ (x * came), 0)
    value = value * handler._scale[:, None]
    target = currents.at(handler.target, step)
    add_rows(target, value, reached.reshape(target.value.shape).any(axis=1))
    n = int(reached.sum())
    counts = OpCounts(state_reads=int(n_links) + n, state_writes=n)
    if not handler.adds_ones:
        return None, counts + OpCounts(macs=int(n_links), weight_reads=int(n_links))
    is_scaled = np.any(handler._scale != 1)
    return None, counts + OpCounts(residual_adds=int(n_links), scalings=n if is_scaled else 0)
