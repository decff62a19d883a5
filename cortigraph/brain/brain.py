"""The brain: one object over all rooms. Each method is a room's function with store and home filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from cortigraph.brain.reading import Reading
from cortigraph.graph.errors import InputError
from cortigraph.graph.home import Home
from cortigraph.graph.store import open_store

if TYPE_CHECKING:
    from torch_geometric.explain import Explanation

    from cortigraph.ingest.batches.finish import Ended
    from cortigraph.ingest.run import Report
    from cortigraph.reasoning.asking.answers import Answer, Answers, Step
    from cortigraph.reasoning.asking.mind import Mind
    from cortigraph.reasoning.pathway.scene import Scene
    from cortigraph.reasoning.prediction import Prediction
    from cortigraph.reasoning.selector.advisor import Advice, Advisor
    from cortigraph.reasoning.solving.solution import Solution
    from cortigraph.reasoning.solving.trial import Watcher
    from cortigraph.regions.adapters.regions import Regions
    from cortigraph.tables.base import Progress
    from cortigraph.train.cluster import Cluster
    from cortigraph.train.data.listed import Sample

__all__ = ["Brain"]


class Brain(Reading):
    """An open memory; made by `cortigraph.open()`.

    Args:
        store: The graph.
        home: Where weights, decoded data and jobs under way lie.
    """

    @classmethod
    def open(
        cls,
        uri: str | None = None,
        *,
        home: str | Path | None = None,
        user: str | None = None,
        password: str | None = None,
        read_only: bool = False,
    ) -> Brain:
        """See `cortigraph.open`."""
        place = Home.resolve(home)
        return cls(open_store(place, uri=uri, user=user, password=password, read_only=read_only), place)

    @property
    def regions(self) -> Regions:
        """The catalogue: `add` a module, `get`, `list`, `build`."""
        from cortigraph.regions.adapters.regions import Regions

        return Regions(self.store, self.home)

    def ingest(
        self,
        job: str | Path | Mapping[str, Any],
        *,
        tables: Mapping[str, object] | None = None,
        prune: bool = False,
        max_rejects: int | None = None,
        rejects: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Runs a batch job; running it again changes nothing.

        Args:
            job: A YAML file, the same as plain data, or `standard`: the areas and regions that come with the package.
            tables: Sources from Python, by name: pandas, Arrow, or a NetworkX graph `g` as `g.nodes` and `g.edges`.
            prune: Take back what the job's earlier batches brought and its sources speak of no more.
            max_rejects: How many wrong rows are left out, and written to a folder, before everything stops; else as
                the job says.
            rejects: That folder.
            progress: Told how far it is.

        Raises:
            InputError: Everything that is wrong with it, by line; nothing was written.
        """
        from cortigraph.ingest.job import Job, load_job
        from cortigraph.ingest.run import run
        from cortigraph.ingest.work import Options

        loaded = Job.parse(job) if isinstance(job, Mapping) else load_job(job)
        options = Options(prune=prune, max_rejects=max_rejects, rejects=Path(rejects) if rejects else None)
        return run(self.store, self.home, loaded, options, tables=tables, progress=progress)

    def revert(self, batch: str, progress: Progress | None = None) -> Report:
        """Takes back what a batch brought, and nothing that another batch also asserts.

        Args:
            batch: Its key, or its number.
            progress: Told how far it is.
        """
        from cortigraph.ingest.revert import revert

        return revert(self.store, self.home, batch, progress)

    def abandon(self, batch: str, progress: Progress | None = None) -> Ended:
        """Ends a batch that can't be finished: what it wrote is taken back, and it stands in nobody's way.

        Args:
            batch: Its key, or its number; or the name of a job that was begun and wrote nothing yet.
            progress: Told whom it waits for.
        """
        from cortigraph.ingest.revert import abandon

        return abandon(self.store, self.home, batch, progress)

    @cached_property
    def mind(self) -> Mind:
        """Reasoners, and the graph as they see it, kept warm between questions."""
        from cortigraph.reasoning.asking.mind import Mind

        return Mind(self.store, self.home)

    def ask(self, head: str, relation: str | None = None, tail: str | None = None, **wanted: Any) -> Answers:
        """What the graph knows, and what a reasoner makes of it: `ask(head, relation)`, `ask("?", relation, tail)`, or
        a question of several parts, `ask("?x treats disease:1 AND ?x interacts_with ?y AND ?y causes disease:2")`.

        Args:
            head: A key, a name or words; or the question.
            relation: A key, a name or words; `inverse of NAME` asks it the other way round.
            tail: Where the head is sought.
            wanted: `top`, `paths`, `known`, `reasoner`, `graph`, `beam`: see `reasoning.asking.ask.Question`.

        Returns:
            Answers, those that the graph holds before those predicted, with score, probability, and the paths that
            carried them; `complete`, and `notes` on what was left out.

        Raises:
            UnknownKeyError: An entity, a relation or a reasoner is not there; names those nearest.
            InputError: Words that may mean several things, or another form of question.
        """
        from cortigraph.reasoning.asking.ask import Question, ask

        return ask(self.mind, Question.of(head, relation, tail, wanted))

    def explain(self, answer: Answer | Step, plot: str | Path | None = None) -> Explanation:
        """What carried an answer, as a PyG `Explanation`: the edges that were walked, and their gradients as a mask.

        Args:
            answer: Of `ask`; or, of a question of several parts, one of its steps.
            plot: A file in which its paths are drawn.
        """
        from cortigraph.reasoning.asking.explain import draw, explain

        self.store.refuse_if_closed()  # the mind may have all that it needs
        if plot is not None:
            draw(answer, Path(plot))
        return explain(self.mind, answer)

    def rank_regions(
        self,
        scene: Scene | str | Path | None = None,
        *,
        dataset: str | None = None,
        area: str | None = None,
        metric: str = "accuracy",
        remember: Sequence[str] | None = None,
        probe: float = 0.0,
    ) -> dict[str, Advice]:
        """Which regions suit a scene or a data set: expected score with an interval, cost, and on what runs that rests.

        Args:
            scene: A scene, or the file of one; or
            dataset: the key of a data set in the graph, whoever brought it.
            area: For a data set, only regions of this functional area.
            metric: For a data set, which property of runs is meant; more is better.
            remember: Scenes whose results count; all when left out.
            probe: Seconds to spend on running the regions over a few of the scene's training samples.

        Returns:
            Input name (or `fusion`), or functional area → its regions, best first; `why(key)` of it explains one, and
            `left_out` says which can't serve, and why.

        Raises:
            InputError: Not just one of scene and data set is given, or there is too little to learn from.
            UnknownKeyError: There is no such data set.
        """
        from cortigraph.reasoning.ranking import rank_scene

        if (scene is None) == (dataset is None):
            raise InputError("expected a scene or the key of a data set, and not both")
        if dataset is not None:
            return self.advisor.for_dataset(dataset, metric=metric, area=area, scenes=remember)
        assert scene is not None
        return rank_scene(self.store, self.home, self.advisor, self._scene(scene), remember, probe)

    @cached_property
    def advisor(self) -> Advisor:
        """Ranks regions; keeps what it has read and learned as long as the graph stays as it is."""
        from cortigraph.reasoning.selector.advisor import Advisor

        return Advisor(self.store)

    def solve(
        self,
        scene: Scene | str | Path,
        *,
        workers: int | Cluster = 1,
        helpers: int = 1,
        remember: Sequence[str] | None = None,
        again: bool = False,
        watcher: Watcher | None = None,
        progress: Progress | None = None,
        waited: float = 0.0,
    ) -> Solution:
        """A scene goes in; a trained network comes out, and the graph remembers it.

        Args:
            scene: A scene, or the file of one.
            workers: Processes that train together; or a cluster, which says where, under which engine, and more.
            helpers: Processes of this machine that train different candidates at once.
            remember: Scenes whose results may be recalled: all when left out, none when empty.
            again: Whether a scene that was solved is searched anew.
            watcher: Told of every epoch and trial.
            progress: Told how far decoding is.
            waited: Seconds of those that the budget allows that are over already.

        Raises:
            InputError: The scene or its data is wrong, or its key is another's: nothing was written; or no region
                could be trained on it.
        """
        from cortigraph.reasoning.solving.solve import solve

        return solve(
            self.store,
            self.home,
            self._scene(scene),
            workers=workers,
            helpers=helpers,
            remember=remember,
            again=again,
            watcher=watcher,
            progress=progress,
            waited=waited,
        )

    def predict(self, pathway: str, samples: Sequence[Sample]) -> list[Prediction]:
        """What a pathway says of new samples.

        Args:
            pathway: Key of a pathway in the graph, or of a scene: then its latest.
            samples: Per sample, input name → file (or text, for a text input).

        Raises:
            UnknownKeyError: There is no such pathway.
            InputError: A file is missing or of the wrong kind; lists every problem.
        """
        from cortigraph.reasoning.prediction import predict

        return predict(self.store, self.home, pathway, samples)

    def forget(self, scene: str) -> int:
        """Removes a scene's searches, with their candidates, runs and pathways; returns how many nodes went."""
        from cortigraph.reasoning.solving.record import Ledger

        return Ledger.forget(self.store, scene)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _scene(self, scene: Scene | str | Path) -> Scene:
        """The scene, once there are regions to choose from: those of the package, unless they were taken back."""
        from cortigraph.reasoning.pathway.scene import Scene
        from cortigraph.regions.catalogue import has_built_in

        read = Scene.load(scene) if isinstance(scene, str | Path) else scene
        if not self.store.read_only and not has_built_in(self.store):
            self.ingest("standard")
        return read
