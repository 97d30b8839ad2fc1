"""record: one concrete forward pass as a list of operations, neurons being opaque."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from evsim.errors import EvsimError
from evsim.graph.rolling.run import CONSTANT, INPUT, NEURON, PARAMETER, RecordedOp, Ref, Run
from evsim.torch.aliases import Aliases
from evsim.torch.output import choose_output

__all__ = ["Recording", "record"]

_SHAPE_WRITES = {"unsqueeze_", "squeeze_", "t_", "transpose_", "swapaxes_", "swapdims_"}
"""In place, they change what the tensor looks like, not what it holds."""

_MADE_FROM_NOTHING = {
    "zeros", "ones", "full", "empty", "zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones",
    "new_full", "new_empty", "arange", "eye", "linspace", "scalar_tensor", "empty_strided", "new_empty_strided",
}  # fmt: skip


class Recording:
    """What `record` returns.

    Attributes
    ----------
    run : Run
    spikes : dict of str to list of array
        What each neuron module sent, call by call, as it was sent (a network may write into it later).
    shapes : dict of str to tuple
        Of what each was given.
    result : array
        The first output of the model.
    chosen : str
        What that was the first of, where there were more.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.spikes: dict[str, list[np.ndarray]] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.result = np.empty(0)
        self.chosen = ""


def record(model: torch.nn.Module, example: torch.Tensor, axes: str, neurons: Iterable[str]) -> Recording:
    """Run the model once on `example` and write down every operation that PyTorch dispatches.

    Parameters
    ----------
    model : Module
        In evaluation mode, its state reset.
    example : Tensor
    axes : str
        One letter an axis of `example`.
    neurons : iterable of str
        Paths of the modules that are not looked into.

    Raises
    ------
    EvsimError
        A neuron writes into its input, or the model returns no logits.
    """
    recording = Recording(Run(axes=axes))
    mode = _Mode(model, recording)
    example = example.clone()
    with torch.no_grad(), _Hooks(model, mode, tuple(neurons)):
        mode.enter_input(example)
        with mode:
            output = model(example)
    tensors, recording.chosen = choose_output(output, axes)
    recording.run.outputs = [mode.value_of(tensor) for tensor in tensors]
    recording.result = as_array(tensors[0])
    return recording


def as_array(tensor: torch.Tensor) -> np.ndarray:
    """A copy of the tensor as NumPy has it, float64 and half precision as float32."""
    tensor = tensor.detach().cpu()
    return np.array((tensor.float() if tensor.is_floating_point() else tensor).numpy())


class _Mode(TorchDispatchMode):
    """Sees every operation under autograd, after composite ones were taken apart."""

    def __init__(self, model: torch.nn.Module, recording: Recording) -> None:
        super().__init__()
        self.run, self.recording = recording.run, recording
        self.aliases = Aliases(self.run)
        self.stack: list[str] = []
        self.is_inside_neuron = False
        self._names: dict[int, str] = {}
        for owner in (model.named_parameters, model.named_buffers):
            for name, tensor in owner(remove_duplicate=False):
                self._names.setdefault(id(tensor), name)
        self._fixed: set[int] = set()

    @property
    def path(self) -> str:
        return self.stack[-1] if self.stack else ""

    def enter_input(self, example: torch.Tensor) -> None:
        """The example is the only value that comes from outside."""
        self.run.ops.append(RecordedOp(INPUT, (), {}, (self.aliases.own(example),), ""))

    def value_of(self, tensor: torch.Tensor) -> int:
        """The value of a tensor; one that was never seen is a parameter or a constant."""
        if tensor not in self.aliases:
            value, name = self.aliases.own(tensor), self._names.get(id(tensor))
            self.run.ops.append(RecordedOp(PARAMETER if name else CONSTANT, (), {}, (value,), self.path))
            if name:
                self.run.names[value] = name
            self._fix(value, tensor)
        return self.aliases.value_of(tensor, self.path)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self.is_inside_neuron:
            return func(*args, **kwargs)
        name = func._schema.name.partition("::")[2]
        recorded, recorded_kwargs = self._encode(args), {k: self._encode(v) for k, v in kwargs.items()}
        out = func(*args, **kwargs)
        written = _written(func, args, kwargs)
        if written is None:
            self._append(func, name, args, recorded, recorded_kwargs, out)
        elif name in _SHAPE_WRITES:
            self._reshape(name, written, recorded)
        else:
            self._write(func, name, written, recorded, recorded_kwargs)
        return out

    def enter_neuron(self, path: str, forward: Callable, args: tuple, kwargs: dict):
        """Call a neuron without looking inside, and note what it was given and what it sent."""
        given = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if not given:
            raise EvsimError(f"{path}: a neuron module is called without a tensor, expected its input current")
        source, version = given[0], given[0]._version
        operand = Ref(self.value_of(source))
        self.is_inside_neuron = True
        try:
            out = forward(*args, **kwargs)
        finally:
            self.is_inside_neuron = False
        if source._version != version:
            raise EvsimError(f"{path}: this neuron module writes into its input, and cannot be recorded as it is")
        sent = [leaf for leaf in pytree.tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        call = self.run.calls.get(path, 0)
        self.run.calls[path] = call + 1
        self.recording.spikes.setdefault(path, []).append(as_array(sent[0]))
        self.recording.shapes[path] = tuple(source.shape)
        owned: dict[int, int] = {}  # norse returns its spikes twice, by themselves and in the state
        for tensor in sent:
            owned.setdefault(id(tensor), self.aliases.own(tensor) if id(tensor) not in owned else -1)
        values = tuple(owned[id(tensor)] for tensor in sent)
        self.run.ops.append(RecordedOp(NEURON, (operand,), {}, values, path, call))
        return out

    def _append(self, func, name: str, args: tuple, recorded: tuple, kwargs: dict, out) -> None:
        outs = pytree.tree_leaves(out)
        tensors = [leaf if isinstance(leaf, torch.Tensor) else None for leaf in outs]
        if all(tensor is None for tensor in tensors):
            return
        is_view = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        is_view = is_view and bool(args) and isinstance(args[0], torch.Tensor)
        shapes = tuple(None if tensor is None else tuple(tensor.shape) for tensor in tensors)
        values = tuple(None if tensor is None else self._own_unless_view(tensor, is_view) for tensor in tensors)
        for port, (tensor, value) in enumerate(zip(tensors, values, strict=True)):
            if is_view and tensor is not None:
                self.aliases.view(tensor, args[0], (name, recorded[1:], port, shapes), value)
        op = RecordedOp(name, recorded, kwargs, values, self.path)
        self.run.ops.append(op)
        if name in _MADE_FROM_NOTHING or (op.operands and self._fixed.issuperset(op.operands)):
            for tensor, value in zip(tensors, values, strict=True):
                if tensor is not None:
                    self._fix(value, tensor)

    def _own_unless_view(self, tensor: torch.Tensor, is_view: bool) -> int:
        return self.aliases.new_value(tensor.shape) if is_view else self.aliases.own(tensor)

    def _reshape(self, name: str, tensor: torch.Tensor, recorded: tuple) -> None:
        value = self.aliases.new_value(tensor.shape)
        step = (name[:-1], recorded[1:], 0, (tuple(tensor.shape),))
        self.run.ops.append(RecordedOp(name[:-1], recorded, {}, (value,), self.path))
        self.aliases.reshaped_in_place(tensor, step, value)

    def _write(self, func, name: str, tensor: torch.Tensor, recorded: tuple, kwargs: dict) -> None:
        """An in-place operation makes a new value, which then lies where the old one was."""
        clean = name.removesuffix("_")
        if clean == "zero":
            clean, recorded = "fill", (recorded[0], 0)
        kwargs = {k: v for k, v in kwargs.items() if k != "out"}
        value = self.aliases.new_value(tensor.shape)
        op = RecordedOp(clean, recorded, kwargs, (value,), self.path)
        self.run.ops.append(op)
        if self._fixed.issuperset(op.operands):
            self._fix(value, tensor)
        self.aliases.write(tensor, value, self.path)
        written = self.aliases.value_of(tensor, self.path)
        assert written == value

    def _fix(self, value: int, tensor: torch.Tensor) -> None:
        """A value that depends on nothing but weights and constants is known."""
        self._fixed.add(value)
        name = self.run.names.get(value)
        if name in self.run.parameters:
            return
        if name is None:
            self.run.constants[value] = _Unchanged(tensor, tensor._version)
        else:
            self.run.parameters[name] = _Unchanged(tensor, tensor._version)

    def _encode(self, argument):
        if isinstance(argument, torch.Tensor):
            return Ref(self.value_of(argument))
        if isinstance(argument, (list, tuple)):
            return tuple(self._encode(inner) for inner in argument)
        return argument if isinstance(argument, (int, float, bool, str, type(None))) else str(argument)


class _Unchanged:
    """What a tensor held when it was seen, copied when it is wanted; gone once somebody has written into it."""

    def __init__(self, tensor: torch.Tensor, version: int) -> None:
        self._tensor, self._version = tensor, version

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        if self._tensor._version != self._version:
            raise EvsimError("a constant of the model was overwritten while it ran, and cannot be recorded as it was")
        array = as_array(self._tensor)
        return array if dtype is None else array.astype(dtype, copy=False)


def _written(func, args: tuple, kwargs: dict) -> torch.Tensor | None:
    """The tensor that an operation writes into, if it does."""
    for i, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            found = args[i] if i < len(args) else kwargs.get(argument.name)
            if isinstance(found, torch.Tensor):
                return found
    return None


class _Hooks:
    """While entered: the path of the running module is known, and neurons are opaque."""

    def __init__(self, model: torch.nn.Module, mode: _Mode, neurons: tuple[str, ...]) -> None:
        self._model, self._mode, self._neurons = model, mode, neurons
        self._handles: list = []
        self._wrapped: list[tuple[torch.nn.Module, object]] = []

    def __enter__(self) -> None:
        inside = tuple(f"{path}." for path in self._neurons)
        for path, module in self._model.named_modules():
            if path in self._neurons:
                self._wrap(path, module)
            elif not path.startswith(inside or ("\0",)):
                self._follow(path, module)

    def __exit__(self, *failure) -> None:
        for handle in self._handles:
            handle.remove()
        for module, own in self._wrapped:
            if own is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = own

    def _follow(self, path: str, module: torch.nn.Module) -> None:
        stack = self._mode.stack

        def leave(module, args, out) -> None:  # returning anything but None would replace the output
            stack.pop()

        def enter(module, args) -> None:
            stack.append(path)

        self._handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]

    def _wrap(self, path: str, module: torch.nn.Module) -> None:
        forward, mode = module.forward, self._mode

        def opaque(*args, **kwargs):
            if mode.is_inside_neuron:
                return forward(*args, **kwargs)
            return mode.enter_neuron(path, forward, args, kwargs)

        self._wrapped.append((module, vars(module).get("forward")))
        module.__dict__["forward"] = opaque
