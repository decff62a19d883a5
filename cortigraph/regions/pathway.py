"""Pathways: the modules that blueprints build."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from cortigraph.regions.blueprint import Blueprint, Node

__all__ = ["Pathway"]


class Pathway(nn.Module):
    """A network composed of regions: a plain module, with a name for every value inside it.

    Args:
        blueprint: What it was built from.
        modules: One module per node, by name; where a network is split between workers, of this worker's nodes only.
    """

    def __init__(self, blueprint: Blueprint, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.blueprint = blueprint
        self.regions = nn.ModuleDict(modules)
        self.frozen = frozenset(node.name for node in blueprint.nodes if node.frozen and node.name in modules)
        for name in self.frozen:
            self.regions[name].requires_grad_(False)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The network's answer.

        Args:
            inputs: One tensor per input, batch axis first.

        Returns:
            The value of the blueprint's output, for a classifier logits of shape (batch, classes).
        """
        return self.run(inputs)[self.blueprint.output]

    def run(self, values: Mapping[str, Tensor], wanted: Collection[str] | None = None) -> dict[str, Tensor]:
        """Computes what is wanted from what is there, and nothing else.

        Args:
            values: Reference → tensor: inputs, or values inside the network that are known already. A node is run
                only if something that it emits is needed and not there: frozen parts are run once, and reused.
            wanted: References; the output when left out.

        Returns:
            The values given, and all that were computed on the way.
        """
        known = dict(values)
        for node in self._to_run(known, set(wanted or (self.blueprint.output,))):
            emitted = self.regions[node.name](*(known[ref] for ref in node.inputs))
            known.update({f"{node.name}.{port}": tensor for port, tensor in emitted.items()})
        return known

    def needed(self) -> set[str]:
        """The references that the trainable part reads from inputs or frozen nodes."""
        return self.blueprint.needed()

    def train(self, mode: bool = True) -> Pathway:
        """As for any module, but frozen regions stay in evaluation mode."""
        super().train(mode)
        for name in self.frozen:
            self.regions[name].eval()
        return self

    def _to_run(self, known: Mapping[str, Tensor], wanted: set[str]) -> list[Node]:
        running: list[Node] = []
        missing = {ref for ref in wanted if ref not in known}
        for node in reversed(self.blueprint.nodes):
            if any(ref.startswith(f"{node.name}.") for ref in missing):
                running.append(node)
                missing |= {ref for ref in node.inputs if ref not in known}
        return running[::-1]
