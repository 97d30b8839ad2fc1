"""The positions of set lanes, appended to a list without a branch, on any processor.

Eight lanes are one byte; a table has, for each byte, the numbers of its set bits in order. Eight positions are stored
whole, and the list grows by as many as are set: the next store begins there. AVX-512 alone has an instruction for this.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

from evsim.arithmetic.vectors import INT, WORD, load, spread, store

__all__ = ["PositionList"]

_BYTE = ir.IntType(8)
_AT_ONCE = 8
_SET = [[bit for bit in range(8) if byte >> bit & 1] for byte in range(256)]
_TABLE = bytes(x for bits in _SET for x in bits + [0] * (8 - len(bits))) + bytes(len(bits) for bits in _SET)
"""256 rows of the eight numbers of a byte's set bits, then 256 numbers of set bits."""
_TABLE_NAME = "evsim.positions"


class PositionList:
    """A list of int32 that is written to in a kernel.

    Parameters
    ----------
    builder : IRBuilder
    positions : Value
        Pointer to its memory, which has room for seven more than are appended.
    length : Value
        How many it holds already.
    """

    def __init__(self, builder: ir.IRBuilder, positions: ir.Value, length: ir.Value) -> None:
        self._builder, self._positions = builder, positions
        self._numbers = ir.VectorType(WORD, _AT_ONCE)
        self._table = builder.bitcast(_table(builder.module), _BYTE.as_pointer())
        self._counts = builder.gep(self._table, [INT(_AT_ONCE * 256)])
        self._length = cgutils.alloca_once_value(builder, length)

    def append(self, first: ir.Value, lanes: ir.Value) -> None:
        """Append first + i for each set lane i, in order; a multiple of eight lanes, of one bit each."""
        for part in range(0, lanes.type.count, _AT_ONCE):
            which = ir.Constant(ir.VectorType(WORD, _AT_ONCE), list(range(part, part + _AT_ONCE)))
            eight = self._builder.shuffle_vector(lanes, lanes, which)
            self._append_eight(self._builder.add(first, INT(part)), self._builder.bitcast(eight, _BYTE))

    def _append_eight(self, first: ir.Value, byte: ir.Value) -> None:
        builder = self._builder
        byte = builder.zext(byte, INT)
        row = builder.gep(self._table, [builder.mul(byte, INT(_AT_ONCE))])
        numbers = builder.zext(load(builder, row, ir.VectorType(_BYTE, _AT_ONCE)), self._numbers)
        start = spread(builder, builder.trunc(first, WORD), _AT_ONCE)
        length = builder.load(self._length)
        store(builder, builder.add(start, numbers), builder.gep(self._positions, [length]))
        n_set = builder.zext(builder.load(builder.gep(self._counts, [byte])), INT)
        builder.store(builder.add(length, n_set), self._length)

    def length(self) -> ir.Value:
        """Of the list as it is now."""
        return self._builder.load(self._length)


def _table(module: ir.Module) -> ir.GlobalVariable:
    """The table, once a module, and once in what is linked of many."""
    if _TABLE_NAME in module.globals:
        return module.globals[_TABLE_NAME]
    value = ir.Constant(ir.ArrayType(_BYTE, len(_TABLE)), bytearray(_TABLE))
    table = ir.GlobalVariable(module, value.type, _TABLE_NAME)
    table.linkage, table.global_constant, table.initializer, table.align = "linkonce_odr", True, value, 64
    return table
