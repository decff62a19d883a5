"""How the workers of one training exchange what they learn: everything that may be chosen."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cortigraph.graph.errors import InputError, UnknownKeyError

__all__ = ["Exchange"]

_Count = Annotated[int, Field(ge=1)]


class Exchange(BaseModel):
    """The choices of one exchange. The defaults give what one worker gives with the same batch.

    Args:
        split: What is shared out: the `data`, each worker with the whole network; or the `network`, by its regions,
            each worker with a stage of it, through which the parts of a batch flow.
        compression: Gradients and parameters travel as they are (`none`) or as 16-bit numbers (`fp16`).
        fused: One kernel updates all parameters; without it each is updated on its own.
        adapt: Shares of a batch follow the workers' measured speed.
        local_steps: Each worker learns on its own for so many steps, then parameters are averaged; 1 averages the
            gradients of every step.
        outer_rate: How far the mean of the workers' ways is followed, with `local_steps`.
        outer_momentum: Nesterov's, over those means.
        overlap: A mean travels while the next `local_steps` are taken, and counts after them: nobody waits.
        commit_steps: Steps of an epoch after which state is committed, besides at its end; 0 for there only.
        micro_batches: Parts of a batch that flow through the stages of a split network.
        schedule: Of a split network: all parts forward, then all backward (`gpipe`), or one forward and one backward
            by turns (`1f1b`), so that no more than the stages that follow are under way.

    Example:
        >>> Exchange.parse({"local_steps": "8", "compression": "fp16"}).local_steps
        8
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: Literal["data", "network"] = "data"
    compression: Literal["none", "fp16"] = "none"
    fused: bool = True
    adapt: bool = False
    local_steps: _Count = 1
    outer_rate: Annotated[float, Field(gt=0, le=2)] = 1.0
    outer_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    overlap: bool = False
    commit_steps: Annotated[int, Field(ge=0)] = 0
    micro_batches: _Count = 4
    schedule: Literal["gpipe", "1f1b"] = "1f1b"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.overlap and self.local_steps == 1:
            raise ValueError("overlap needs local_steps above 1")
        if self.split == "network" and (self.adapt or self.local_steps > 1 or self.compression != "none"):
            raise ValueError("a split network takes neither adapt nor local_steps nor compression: it has no gradients "
                             "to average")  # fmt: skip
        return self

    @classmethod
    def parse(cls, choices: dict[str, Any]) -> Exchange:
        """Reads choices that a user typed.

        Raises:
            InputError: One is unknown or out of its range; lists all.
        """
        try:
            return cls.model_validate(choices)
        except ValidationError as error:
            told = []
            for problem in error.errors():
                name = ".".join(map(str, problem["loc"]))
                if problem["type"] == "extra_forbidden":
                    told.append(str(UnknownKeyError("exchange setting", name, cls.model_fields)))
                else:
                    told.append(f"exchange {name}: {problem['msg']}, got {problem['input']!r}")
            raise InputError(told) from None
