"""A pickle machine that can build data and nothing else.

Python's own unpickler is made to call what the file names. This one has no way to: a global is a row of
`allowed_globals` or an inert `Mark`, an opcode is a line of the table at the end or refused. Every opcode and every
element it copies is paid for out of one budget, so that no small file can cost much time or memory.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import BinaryIO

from evsim.checkpoints.allowed_globals import Global, Namespace, NumpyType, check_key, find_global, read_persistent_id
from evsim.checkpoints.mark import Mark, mark_of_call
from evsim.checkpoints.refusal import Refused, shown
from evsim.checkpoints.stored_tensor import StorageRef

__all__ = ["unpickle"]

_MOST_BYTES = 64 * 2**20
# A network of 66 million weights saved with its optimizer takes about 100,000.
_MOST_WORK = 1_000_000
_LONGEST_NAME = 300
_LONGEST_INTEGER = 255
_TAKES_ANYTHING = ("collections.defaultdict",)


def unpickle(
    file: BinaryIO,
    size: int,
    storages: dict[str, StorageRef] | None = None,
    foreign: dict[str, None] | None = None,
) -> object:
    """Rebuild the one object pickled at the position of `file`, and leave the file right behind it.

    Parameters
    ----------
    file : binary file
    size : int
        How many bytes there are to read at most.
    storages : dict, optional
        Gets every storage that the pickle mentions, by its key.
    foreign : dict, optional
        Gets every name that the pickle mentions and that means nothing here, in their order.

    Returns
    -------
    object
        Numbers, strings, bytes, None, list, tuple, dict, set, `StoredTensor`, `StorageRef`, `Namespace`, `Mark`, and
        these nested. Shared parts stay shared and lists may contain themselves: whoever walks the result must bound
        the walk.

    Raises
    ------
    Refused
        When the pickle is damaged, too large, or wants anything else than to be data.
    """
    source = _Source(file, min(size, _MOST_BYTES))
    return _Machine(source, {} if storages is None else storages, {} if foreign is None else foreign).run()


class _Source:
    """The bytes of a pickle, counted."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file = file
        self._left = left

    def take(self, count: int) -> bytes:
        # The count is checked before anything is allocated: it is four or eight bytes that anyone can write.
        if not 0 <= count <= self._left:
            raise Refused("its pickle is truncated or too large")
        self._left -= count
        data = self._file.read(count)
        if len(data) != count:
            raise Refused("its pickle is truncated")
        return data

    def number(self, layout: str) -> int:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def text(self, layout: str) -> str:
        return _decode(self.take(self.number(layout)))

    def line(self) -> str:
        data = self._file.readline(min(_LONGEST_NAME, self._left))
        self._left -= len(data)
        if not data.endswith(b"\n"):
            raise Refused("its pickle holds a name without an end")
        return _decode(data[:-1])


class _Machine:
    """The stack, the marks on it, the memo, and the storages met so far."""

    def __init__(self, source: _Source, storages: dict[str, StorageRef], foreign: dict[str, None]) -> None:
        self.source = source
        self.storages = storages
        self.foreign = foreign
        self.stack: list = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        self.work = 0

    def run(self) -> object:
        while (code := self.source.take(1)) != pickle.STOP:
            if code not in _OPCODES:
                raise Refused(f"its pickle uses the opcode {shown(code)}, which is not allowed; nothing was executed")
            self.spend(1)
            _OPCODES[code](self)
        return self.pop()

    def spend(self, work: int) -> None:
        self.work += work
        if self.work > _MOST_WORK:
            raise Refused(f"its pickle takes more than {_MOST_WORK} steps to read")

    def push(self, value: object) -> None:
        self.stack.append(value)

    def peek(self) -> object:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise Refused("its pickle takes more from the stack than there is")
        return self.stack[-1]

    def pop(self) -> object:
        self.peek()
        return self.stack.pop()

    def pop_many(self, count: int) -> list:
        return [self.pop() for _ in range(count)][::-1]

    def pop_mark(self) -> list:
        if not self.marks:
            raise Refused("its pickle closes a list that it never opened")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def put(self, index: int) -> None:
        self.memo[index] = self.peek()

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise Refused("its pickle refers to something that it has not built")
        self.push(self.memo[index])


def _proto(machine: _Machine) -> None:
    version = machine.source.number("<B")
    if version > pickle.HIGHEST_PROTOCOL:
        raise Refused(f"its pickle has the protocol {version}")


def _integer(machine: _Machine, layout: str) -> None:
    length = machine.source.number(layout)
    if not 0 <= length <= _LONGEST_INTEGER:
        raise Refused(f"its pickle holds an integer of {length} bytes")
    machine.push(int.from_bytes(machine.source.take(length), "little", signed=True))


def _list_of(machine: _Machine, kind: type) -> object:
    target = machine.peek()
    if type(target) is not kind:
        raise Refused(f"its pickle adds to a {type(target).__name__} as if it were a {kind.__name__}")
    return target


def _append(machine: _Machine, values: list) -> None:
    if type(machine.peek()) is not Mark:
        _list_of(machine, list).extend(values)


def _set_items(machine: _Machine, flat: list) -> None:
    if len(flat) % 2:
        raise Refused("its pickle holds a key without a value")
    target = machine.peek().values if type(machine.peek()) is Mark else _list_of(machine, dict)
    for key, value in zip(flat[::2], flat[1::2], strict=True):
        target[check_key(key)] = value


def _add_members(machine: _Machine) -> None:
    members = machine.pop_mark()
    if type(machine.peek()) is not Mark:
        _list_of(machine, set).update(map(check_key, members))


def _reduce(machine: _Machine) -> None:
    function, arguments = machine.pop_many(2)
    is_allowed = type(function) is Mark or (type(function) is Global and function.build is not None)
    if not is_allowed or type(arguments) is not tuple:
        raise Refused(f"its pickle calls {_described(function)}, which is not allowed; nothing was executed")
    # Whatever a builder copies is at most what its arguments hold, so it is paid for here.
    machine.spend(sum(len(a) for a in arguments if isinstance(a, str | bytes | list | tuple | dict | set)))
    machine.push(mark_of_call(function) if type(function) is Mark else _call(function, arguments))


def _call(function: Global, arguments: tuple) -> object:
    # What is built on something unknown (a storage of a type to come, a dtype) is as unknown.
    if arguments and type(arguments[0]) is Mark and function.name not in _TAKES_ANYTHING:
        return Mark(arguments[0].name, arguments[0].is_data)
    try:
        return function.build(*arguments)
    except (TypeError, ValueError):
        raise Refused(f"its pickle calls {function.name} with arguments that do not fit") from None


def _new_object(machine: _Machine) -> None:
    kind, arguments = machine.pop_many(2)
    if type(kind) is Mark:
        machine.push(mark_of_call(kind))
        return
    if type(kind) is not Global or kind.name != "argparse.Namespace" or arguments != ():
        raise Refused(f"its pickle makes an object of {_described(kind)}, which is not allowed; nothing was executed")
    machine.push(Namespace())


def _build(machine: _Machine) -> None:
    state, target = machine.pop(), machine.peek()
    if type(target) is Namespace and type(state) is dict:
        machine.spend(len(state))
        target.values.update(state)
    elif type(target) is Mark:
        machine.spend(len(state) if isinstance(state, dict | tuple) else 1)
        target.take_state(state)
    elif type(target) is NumpyType and type(state) is tuple and state[1:2] in (("<",), ("|",), (">",), ("=",)):
        target.order = str(state[1])
    # An OrderedDict comes with the module versions of its state dict.
    elif type(target) is not dict or type(state) is not dict:
        raise Refused(f"its pickle sets the state of a {_described(target)}, which is not allowed")


def _mention(machine: _Machine, module: str, name: str) -> None:
    found = find_global(module, name)
    if type(found) is Mark:
        machine.foreign[found.name] = None
    machine.push(found)


def _global(machine: _Machine) -> None:
    _mention(machine, machine.source.line(), machine.source.line())


def _stack_global(machine: _Machine) -> None:
    module, name = machine.pop_many(2)
    if type(module) is not str or type(name) is not str:
        raise Refused("its pickle refers to a name that is not text")
    _mention(machine, module, name)


def _push_storage(machine: _Machine) -> None:
    storage = read_persistent_id(machine.pop())
    if type(storage) is not Mark and machine.storages.setdefault(storage.key, storage) != storage:
        raise Refused(f"its storage {shown(storage.key)} has two types or two sizes")
    machine.push(storage)


def _byte_array(machine: _Machine) -> None:
    machine.source.take(machine.source.number("<Q"))
    machine.push(Mark("builtins.bytearray", True))


def _described(value: object) -> str:
    return value.name if type(value) is Global else f"a {type(value).__name__}"


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise Refused(f"its pickle holds text that is not UTF-8: {shown(data)}") from None


_Step = Callable[[_Machine], object]
_OPCODES: dict[bytes, _Step] = {
    pickle.PROTO: _proto,
    pickle.FRAME: lambda m: m.source.take(8),
    # constants
    pickle.NONE: lambda m: m.push(None),
    pickle.NEWTRUE: lambda m: m.push(True),
    pickle.NEWFALSE: lambda m: m.push(False),
    pickle.BININT: lambda m: m.push(m.source.number("<i")),
    pickle.BININT1: lambda m: m.push(m.source.number("<B")),
    pickle.BININT2: lambda m: m.push(m.source.number("<H")),
    pickle.LONG1: lambda m: _integer(m, "<B"),
    pickle.LONG4: lambda m: _integer(m, "<i"),
    pickle.BINFLOAT: lambda m: m.push(m.source.number(">d")),
    pickle.BINUNICODE: lambda m: m.push(m.source.text("<I")),
    pickle.SHORT_BINUNICODE: lambda m: m.push(m.source.text("<B")),
    pickle.BINUNICODE8: lambda m: m.push(m.source.text("<Q")),
    pickle.BINSTRING: lambda m: m.push(m.source.text("<i")),
    pickle.SHORT_BINSTRING: lambda m: m.push(m.source.text("<B")),
    pickle.BINBYTES: lambda m: m.push(m.source.take(m.source.number("<I"))),
    pickle.SHORT_BINBYTES: lambda m: m.push(m.source.take(m.source.number("<B"))),
    pickle.BINBYTES8: lambda m: m.push(m.source.take(m.source.number("<Q"))),
    pickle.BYTEARRAY8: _byte_array,
    # containers
    pickle.EMPTY_LIST: lambda m: m.push([]),
    pickle.APPEND: lambda m: _append(m, [m.pop()]),
    pickle.APPENDS: lambda m: _append(m, m.pop_mark()),
    pickle.EMPTY_TUPLE: lambda m: m.push(()),
    pickle.TUPLE: lambda m: m.push(tuple(m.pop_mark())),
    pickle.TUPLE1: lambda m: m.push(tuple(m.pop_many(1))),
    pickle.TUPLE2: lambda m: m.push(tuple(m.pop_many(2))),
    pickle.TUPLE3: lambda m: m.push(tuple(m.pop_many(3))),
    pickle.EMPTY_DICT: lambda m: m.push({}),
    pickle.SETITEM: lambda m: _set_items(m, m.pop_many(2)),
    pickle.SETITEMS: lambda m: _set_items(m, m.pop_mark()),
    pickle.EMPTY_SET: lambda m: m.push(set()),
    pickle.ADDITEMS: _add_members,
    pickle.FROZENSET: lambda m: m.push(set(map(check_key, m.pop_mark()))),
    # the stack and the memo
    pickle.MARK: lambda m: m.marks.append(len(m.stack)),
    pickle.POP: lambda m: m.pop(),
    pickle.POP_MARK: lambda m: m.pop_mark(),
    pickle.BINPUT: lambda m: m.put(m.source.number("<B")),
    pickle.LONG_BINPUT: lambda m: m.put(m.source.number("<I")),
    pickle.MEMOIZE: lambda m: m.put(len(m.memo)),
    pickle.BINGET: lambda m: m.get(m.source.number("<B")),
    pickle.LONG_BINGET: lambda m: m.get(m.source.number("<I")),
    # names, and the few things that may be made of them
    pickle.GLOBAL: _global,
    pickle.STACK_GLOBAL: _stack_global,
    pickle.REDUCE: _reduce,
    pickle.NEWOBJ: _new_object,
    pickle.BUILD: _build,
    pickle.BINPERSID: _push_storage,
}
