"""Loops that keep their sums in registers, where the compiler by itself goes back to memory for each."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

__all__ = ["LINE", "Registers"]

LINE = 64  # bytes of a line of the cache, and of the widest register
_FAST = ("contract", "reassoc", "nsz")


class Registers:
    """Writes the code of an intrinsic: arrays that it was given are read and written `lanes` numbers of a row at once.

    Args:
        names: Of what it was given.
        context: As Numba hands it to an intrinsic.
        builder: The same.
        signature: The same.
        given: The same.
        lanes: How many numbers a register takes; None: as many as fit.
    """

    def __init__(
        self, names: str, context: Any, builder: Any, signature: Any, given: Any, lanes: int | None = None
    ) -> None:
        self._context, self.builder = context, builder
        self.given = dict(zip(names.split(), given, strict=True))
        self._kinds = dict(zip(self.given, signature.args, strict=True))
        self._arrays = {
            name: context.make_array(kind)(context, builder, self.given[name])
            for name, kind in self._kinds.items()
            if isinstance(kind, types.Array)
        }
        floats = (kind.dtype for kind in signature.args if isinstance(getattr(kind, "dtype", None), types.Float))
        self.number = context.get_value_type(next(floats))
        self._align = self.number.get_abi_size(context.target_data)
        self.lanes = lanes or LINE // self._align
        self.kind = ir.VectorType(self.number, self.lanes)

    def row(self, number: int) -> Any:
        """A number of rows or columns that is known now."""
        return ir.Constant(ir.IntType(64), number)

    def length(self, array: str) -> Any:
        """How many elements an array has."""
        return self._arrays[array].nitems

    def sum(self) -> Any:
        """A sum that begins with zero, kept in a register."""
        return cgutils.alloca_once_value(self.builder, ir.Constant(self.kind, None))

    def clear(self, total: Any) -> None:
        """Makes a sum zero."""
        self.builder.store(ir.Constant(self.kind, None), total)

    def add(self, total: Any, one: Any, other: Any = None) -> None:
        """Adds a register to a sum, or the product of two."""
        self.builder.store(self.plus(self.builder.load(total), one, other), total)

    def plus(self, start: Any, one: Any, other: Any = None) -> Any:
        """A register and another, or the product of two."""
        more = one if other is None else self.builder.fmul(one, other, flags=_FAST)
        return self.builder.fadd(start, more, flags=_FAST)

    def alike(self, number: Any) -> Any:
        """A register of the same number everywhere."""
        whole = ir.IntType(32)
        nothing, every = ir.Constant(self.kind, ir.Undefined), ir.Constant(ir.VectorType(whole, self.lanes), None)
        return self.builder.shuffle_vector(self.builder.insert_element(nothing, number, whole(0)), nothing, every)

    def one(self, array: str, *place: Any) -> Any:
        """Reads an element."""
        return self.builder.load(self._place(array, *place))

    def many(self, array: str, row: Any, column: Any) -> Any:
        """Reads a register of a row, from a column on."""
        return self.builder.load(self._places(array, row, column), align=self._align)

    def write(self, value: Any, array: str, row: Any, column: Any, *, past: bool = False) -> None:
        """Writes a register to a row, from a column on.

        Args:
            value: The register.
            array: Where to.
            row: Which row.
            column: The first column.
            past: Past the caches, which then keep what is read; each register must fill a line of them.
        """
        kept = self.builder.store(value, self._places(array, row, column), align=LINE if past else self._align)
        if past:
            kept.set_metadata("nontemporal", self.builder.module.add_metadata([ir.IntType(32)(1)]))

    def fetch(self, array: str, row: Any, column: Any) -> None:
        """Asks for the line of the cache in which an element lies."""
        byte, whole = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, whole, whole, whole])
        function = self.builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        read, near, data = whole(0), whole(3), whole(1)
        place = self.builder.bitcast(self._place(array, row, column), byte)
        self.builder.call(function, [place, read, near, data])

    def _place(self, array: str, *place: Any) -> Any:
        return cgutils.get_item_pointer(
            self._context, self.builder, self._kinds[array], self._arrays[array], list(place)
        )

    def _places(self, array: str, row: Any, column: Any) -> Any:
        return self.builder.bitcast(self._place(array, row, column), self.kind.as_pointer())
