"""How samples are divided, as a user writes it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

__all__ = ["SPLITS", "SplitSpec"]

SPLITS = ("train", "valid", "test")


def _as_text(value: Any) -> Any:
    # YAML reads the name of a fold as a number
    whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if whole else value


_Value = Annotated[str, BeforeValidator(_as_text), Field(min_length=1)]
_Share = Annotated[float, Field(gt=0, lt=1)]


class SplitSpec(BaseModel):
    """How samples are divided: by a column that says so, or by drawing.

    Args:
        column: Column with `train`, `valid` (or `val`, `validation`, `dev`) or `test` in each row; or with other
            values, such as folds, that the following three divide.
        train: Values of the column that are for training; left out: those that nothing else names.
        valid: Values that are for validation; or the share that is drawn from train by class, where the data has
            no split of its own for validation.
        test: Values that are for testing.
        group: Column whose equal values stay together (a speaker, a patient), so that nothing of a group leaks.
        fractions: Shares of train, valid and test. Drawn by class, as evenly as the groups allow.
        seed: Seed of the draw.

    Example:
        >>> SplitSpec(column="fold", valid=["4"], test=[5]).values
        {'4': 1, '5': 2}
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str | None = None
    train: tuple[_Value, ...] = ()
    valid: _Share | tuple[_Value, ...] = ()
    test: tuple[_Value, ...] = ()
    group: str | None = None
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    seed: int = 0

    @property
    def share(self) -> float | None:
        """The share of train that is drawn for validation."""
        return self.valid if isinstance(self.valid, float) else None

    @property
    def values(self) -> dict[str, int]:
        """Value of the column → 0 (train), 1 (valid) or 2 (test), as far as they are named."""
        named = (self.train, () if isinstance(self.valid, float) else self.valid, self.test)
        return {value: code for code, values in enumerate(named) for value in values}

    @model_validator(mode="after")
    def _one_way(self) -> SplitSpec:
        if self.column is not None and self.group is not None:
            raise ValueError("give either column (the rows say their split) or group (drawn by group), not both")
        if min(self.fractions) <= 0 or abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError("fractions must be three positive numbers that sum to 1, such as [0.6, 0.2, 0.2]")
        named = [*self.train, *(self.valid if isinstance(self.valid, tuple) else ()), *self.test]
        double = sorted({value for value in named if named.count(value) > 1})
        if double:
            raise ValueError(f"{', '.join(map(repr, double))} named twice among train, valid and test; name it once")
        return self
