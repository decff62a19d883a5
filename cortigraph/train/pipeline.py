"""A pipeline: the parts of a batch flow forward through the stages, and their gradients back.

    gpipe    F0 F1 F2 F3 B0 B1 B2 B3      every part's activations are kept until its turn comes
    1f1b     F0 F1 B0 F2 B1 F3 B2 B3      no more parts under way than stages follow

Values go from the stage that computes them straight to each stage that reads them, also past others, which is why this
is no chain of `torch.distributed.pipelining` stages: there a value that a later region joins would have to be handed on
by every stage between. Sending never waits, so the order of receiving alone decides, and it is the same for both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor

from cortigraph.regions.pathway import Pathway
from cortigraph.train.engine import Engine
from cortigraph.train.stages import Plan

__all__ = ["Pipeline", "turns"]

Loss = Callable[[Tensor, int], Tensor]
Values = Mapping[str, Tensor]


def turns(schedule: str, stage: int, stages: int, parts: int) -> list[tuple[str, int]]:
    """What a stage does, in order: `F` and `B` with the number of the part.

    Example:
        >>> " ".join(f"{way}{part}" for way, part in turns("1f1b", 0, 2, 3))
        'F0 F1 B0 F2 B1 B2'
    """
    ahead = parts if schedule == "gpipe" else min(parts, stages - stage)
    order = [("F", part) for part in range(ahead)]
    for part in range(parts):
        order.append(("B", part))
        if ahead + part < parts:
            order.append(("F", ahead + part))
    return order


@dataclass
class _Part:
    received: dict[str, Tensor] = field(default_factory=dict)
    emitted: dict[str, Tensor] = field(default_factory=dict)
    loss: Tensor | None = None
    sent: list[tuple[dist.Work, Tensor]] = field(default_factory=list)


class Pipeline:
    """One stage of a network.

    Args:
        pathway: With the modules of this stage.
        plan: What it does.
        engine: Its rank is the stage.
        schedule: `gpipe` or `1f1b`.
    """

    def __init__(self, pathway: Pathway, plan: Plan, engine: Engine, schedule: str) -> None:
        self._pathway, self._plan, self._engine, self._schedule = pathway, plan, engine, schedule
        ports = pathway.blueprint.ports
        crossing = sorted(reference for reference in ports if "." in reference)
        frozen = {node.name for node in pathway.blueprint.nodes if node.frozen} & set(plan.nodes)
        wanted = {*pathway.blueprint.needed(), *plan.sends}
        self._fixed = sorted(ref for ref in wanted if "." in ref and ref.split(".")[0] in frozen)
        self._number = {reference: number for number, reference in enumerate(crossing)}
        self._shapes = {reference: [size or 1 for size in ports[reference].sizes] for reference in crossing}
        self._kinds: dict[str, torch.dtype] = {ref: getattr(torch, ports[ref].dtype) for ref in crossing}

    def learn(self, parts: Sequence[Values], as_is: Sequence[Values], sizes: Sequence[int], loss: Loss) -> Tensor:
        """One step's forward and backward passes; gradients add up in the parameters.

        Args:
            parts: What each part of the batch gives this stage to read, of the data's inputs, perhaps augmented.
            as_is: The same as it is in the data, for frozen nodes.
            sizes: Samples of each part.
            loss: On the last stage, what is learned from a part's answer; its gradient is taken as it is.

        Returns:
            The sum of losses on the last stage, elsewhere 0.
        """
        under_way: dict[int, _Part] = {}
        total = torch.zeros(())
        for way, number in turns(self._schedule, self._plan.stage, self._engine.size, len(parts)):
            if way == "F":
                under_way[number] = part = self._forward(parts[number], as_is[number], sizes[number], number)
                if self._plan.last:
                    part.loss = loss(part.emitted[self._pathway.blueprint.output], number)
                    total += part.loss.detach()
            else:
                self._backward(under_way.pop(number), number)
        return total

    @torch.no_grad()
    def answer(self, values: Values, size: int, number: int) -> Tensor | None:
        """The network's answer for samples, on the last stage; elsewhere None."""
        part = self._forward(values, values, size, number)
        for work, _ in part.sent:
            work.wait()
        return part.emitted[self._pathway.blueprint.output] if self._plan.last else None

    def _forward(self, values: Values, as_is: Values, size: int, number: int) -> _Part:
        part, plan = _Part(), self._plan
        for reference, source in plan.receives.items():
            tensor = torch.empty(size, *self._shapes[reference], dtype=self._kinds[reference])
            self._receive(tensor, source, self._tag(reference, number))
            if reference in plan.learned and torch.is_grad_enabled():
                tensor.requires_grad_()
            part.received[reference] = tensor
        known = {**values, **part.received}
        if self._fixed:
            with torch.no_grad():
                fixed = self._pathway.run({**as_is, **part.received}, self._fixed)
            known |= {reference: fixed[reference] for reference in self._fixed}
        wanted = {*plan.sends, *([self._pathway.blueprint.output] if plan.last else [])}
        computed = self._pathway.run(known, wanted) if wanted - set(known) else known
        part.emitted = {reference: computed[reference] for reference in wanted}
        for reference, targets in plan.sends.items():
            tensor = part.emitted[reference].detach().contiguous()
            part.sent += [self._send(tensor, target, self._tag(reference, number)) for target in targets]
        return part

    def _backward(self, part: _Part, number: int) -> None:
        plan = self._plan
        heads: list[Tensor] = []
        grads: list[Tensor | None] = []
        for reference, targets in plan.sends.items():
            if reference not in plan.learned:
                continue
            emitted = part.emitted[reference]
            back = torch.zeros(emitted.shape, dtype=emitted.dtype)
            for target in targets:
                one = torch.empty(emitted.shape, dtype=emitted.dtype)
                self._receive(one, target, self._tag(reference, number, back=True))
                back += one
            if emitted.requires_grad:
                heads.append(emitted)
                grads.append(back)
        if part.loss is not None and part.loss.requires_grad:
            heads.append(part.loss)
            grads.append(None)
        if heads:
            torch.autograd.backward(heads, grads)
        for reference, source in plan.receives.items():
            if reference in plan.learned:
                received = part.received[reference]
                grad = torch.zeros_like(received) if received.grad is None else received.grad
                part.sent.append(self._send(grad.contiguous(), source, self._tag(reference, number, back=True)))
        for work, _ in part.sent:
            with self._engine.waiting():
                work.wait()

    def _tag(self, reference: str, number: int, back: bool = False) -> int:
        return 2 * (number * len(self._number) + self._number[reference]) + back

    def _receive(self, tensor: Tensor, source: int, tag: int) -> None:
        with self._engine.waiting():
            dist.recv(tensor, src=source, tag=tag)

    def _send(self, tensor: Tensor, target: int, tag: int) -> tuple[dist.Work, Tensor]:
        work = dist.isend(tensor, dst=target, tag=tag)
        assert work is not None
        return work, tensor
