"""The tuning: short trainings on the training part, judged on the validation part, of recipes and of networks."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.study import StudyDirection
from torch import nn

from dashnas.config import RetrainConfig, Schedule, TuneConfig, Tuner
from dashnas.data.parts import Part
from dashnas.errors import DashnasError, RunError
from dashnas.evaluate import confidence_of, predict_part, value_of
from dashnas.inference_cost import num_parameters
from dashnas.losses import Loss
from dashnas.metrics import Metric, is_evidence
from dashnas.microbatch import shared_micro_batch
from dashnas.recipe import Optimiser, Recipe
from dashnas.retrain import retrain_phase
from dashnas.runs import Run
from dashnas.seeding import derive_seed
from dashnas.training import DivergedError, Phase, Session, train

_RATES: dict[Optimiser, dict[str, BaseDistribution]] = {
    Optimiser.SGD: {
        "learning_rate": FloatDistribution(3e-3, 0.3, log=True),
        "weight_decay": FloatDistribution(1e-6, 1e-2, log=True),
    },
    Optimiser.ADAMW: {
        "learning_rate": FloatDistribution(3e-4, 1e-2, log=True),
        "weight_decay": FloatDistribution(1e-3, 0.3, log=True),
    },
    Optimiser.MUON: {
        "learning_rate": FloatDistribution(3e-3, 0.1, log=True),
        "weight_decay": FloatDistribution(1e-3, 0.3, log=True),
    },
}


def halving_space(optimiser: Optimiser) -> dict[str, BaseDistribution]:
    """Where successive halving draws recipes from."""
    return {
        **_RATES[optimiser],
        "momentum": CategoricalDistribution((0.8, 0.9, 0.95)),
        "dropout": CategoricalDistribution((0.0, 0.05, 0.2)),
    }


SMALLEST_RATE = 1e-5
"""Where every recipe diverges, the first one is tried with ever lower learning rates, down to this."""

GRID: dict[str, tuple[float, ...]] = {
    "learning_rate": (1e-1, 1e-2, 1e-3),
    "dropout": (0.0, 0.05),
    "weight_decay": (5e-4, 5e-6),
    "momentum": (0.9, 0.99),
}
"""The paper's grid, outer loop first (Shen et al. 2022, Appendix A.5.2; order of the authors' code)."""

SMALL_GRID: dict[str, tuple[float, ...]] = {
    "learning_rate": (1e-2, 1e-3, 1e-4),
    "dropout": (0.0,),
    "weight_decay": (5e-5,),
    "momentum": (0.99,),
}
"""What the authors' code tries instead on its three largest tasks; not in the paper."""

EVEN = 0.5
"""What the confidence has to exceed, beside a better score, where a network has no more weights than the best before
it, whatever their widths. To ask for evidence there chose worse in the mean over five tasks, with networks of one width
(docs/search-quality.md)."""


@dataclass(frozen=True)
class Trial:
    """One recipe that was tried, on one network."""

    recipe: Recipe
    score: float | None
    """On the validation part, at the last epoch that was trained; None where the training diverged."""
    epochs: int
    """Trained, fewer than planned where the trial was stopped early."""
    state: str
    """complete, pruned or diverged."""
    seconds: float
    rungs: dict[int, float]
    """Validation score by number of epochs trained."""
    attributes: dict[str, Any]
    """What the pruner has to remember of it."""
    network: str
    """Which one was trained: `derived`, `backbone` or `random`."""
    confidence: float | None = None
    """In a race: how sure it is that it is better than the best trial before it. None where there was none, or no
    race."""
    wins: bool = False
    """In a race: whether that is sure enough to take its place."""


class Tuning:
    """A study over recipes, and a race of networks, that can be stopped after any step and go on in another process.

    Each network that races is trained to the end under the given recipe; all other recipes are tried on the best of
    them. It takes evidence to move to a larger network, and away from the given recipe; to one that is no larger than
    the best before it, a better score. After a race, the run has the weights of each network's best trial, for whatever
    goes on from there.

    Optuna keeps the study in memory; what survives is `tune.json` in the run, from which it is built again.

    Args:
        make_network: a fresh network, by its name, for a recipe (its dropout is built in), always with the same
            weights.
        networks: names of those that race, the first being the one to beat.
        train_part: what trials are trained on.
        validation: what they are scored on.
        loss: what their weights descend.
        metric: which score is better.
        config: how recipes are found.
        training: schedule and clipping.
        schedule: how many trials and epochs.
        recipe: the first one tried.
        batch_size: samples of a step.
        seed: of recipes, order, dropout and cutout.
        has_time: asked, with all trials so far, before each recipe beyond the first; has to give the same answer to the
            same trials. None always has.
    """

    def __init__(
        self,
        make_network: Callable[[str, Recipe], nn.Module],
        networks: Sequence[str],
        train_part: Part,
        validation: Part,
        loss: Loss,
        metric: Metric,
        config: TuneConfig,
        training: RetrainConfig,
        *,
        schedule: Schedule,
        recipe: Recipe,
        batch_size: int,
        seed: int,
        has_time: Callable[[list[Trial]], bool] | None = None,
    ) -> None:
        self._has_time = has_time
        self._make_network = make_network
        self._networks = networks
        self._train_part = train_part
        self._validation = validation
        self._loss = loss
        self._metric = metric
        self._config = config
        self._training = training
        self._schedule = schedule
        is_grid = config.tuner is Tuner.GRID
        recipes = grid(config)[: schedule.tune_trials] if is_grid else [recipe]
        self._recipes = [recipe] * (len(networks) - 1) + recipes
        num_recipes = len(recipes) if is_grid else schedule.tried or schedule.tune_trials
        self._num_trials = len(networks) - 1 + num_recipes
        self._batch_size = batch_size
        self._seed = seed
        self._base = recipe

    def run(
        self, done: list[Trial], session: Session, save: Callable[[list[Trial]], None], *, most: int | None = None
    ) -> list[Trial]:
        """Try networks and recipes until all trials are done.

        Args:
            done: trials of an earlier process.
            session: where to train.
            save: called with all trials after each one.
            most: stop once there are so many; None goes on to the end.

        Raises:
            DashnasError: every trial diverged.
        """
        trials = list(done)
        if not trials:  # weights of a race whose outcome is gone
            for name in self._networks:
                session.run.forget_checkpoint(tuned_weights(name))
        while len(trials) < (most or self._num_trials) and not self._may_skip_rest(trials):
            if self._has_time and len(trials) >= len(self._networks) and not self._has_time(trials):
                break
            self._add(trials, session, save)
        if most is not None:
            return trials
        rescue = trials[-1].recipe if len(trials) > self._num_trials else self._base
        while not any(trial.state == "complete" for trial in trials):
            rescue = replace(rescue, learning_rate=rescue.learning_rate / 10)
            if rescue.learning_rate < SMALLEST_RATE:
                raise DashnasError(
                    "the training diverged under every recipe that was tried, down to a learning rate of "
                    f"{SMALLEST_RATE:g}; look for extreme values in the data or the targets"
                )
            self._add(trials, session, save, rescue)
        return trials

    def _add(
        self,
        trials: list[Trial],
        session: Session,
        save: Callable[[list[Trial]], None],
        recipe: Recipe | None = None,
    ) -> None:
        number = len(trials)
        trials.append(self._try(number, trials, session, recipe))
        save(trials)
        session.run.forget_checkpoint(f"tune-{number}")

    def best(self, trials: list[Trial]) -> Trial:
        """The complete trial with the best score, the first of several; in a race, the last one that `wins`."""
        complete = [t for t in trials if t.state == "complete" and t.score is not None]
        if self._config.race:
            return ([trial for trial in complete if trial.wins] or complete[:1])[-1]
        pick = max if self._metric.higher_is_better else min
        return pick(complete, key=lambda trial: trial.score)  # type: ignore[arg-type, return-value]

    def score_network(
        self, name: str, network: nn.Module, recipe: Recipe, session: Session, *, network_name: str = "backbone"
    ) -> tuple[float | None, float]:
        """Train another network as the trials are, under one recipe.

        Args:
            name: of the phase.
            network: trained in place.
            recipe: learning rate and the like.
            session: where to train.
            network_name: name that it shares its micro-batch under with other phases of the same network.

        Returns:
            Its validation score, None where the training diverged; and the seconds.
        """

        def score_at_end(epoch: int) -> dict[str, Any]:
            return self._scored(phase, session) if epoch + 1 == phase.epochs else {}

        phase = self._phase(name, network_name, network, recipe, score_at_end)
        try:
            progress = train(phase, session)
        except DivergedError:
            return None, 0.0
        return progress.history[-1]["score"], progress.seconds

    def _try(self, number: int, trials: list[Trial], session: Session, given: Recipe | None = None) -> Trial:
        network_name = self._network_of(number, trials)
        study = self._study(number, [trial for trial in trials if trial.network == network_name], network_name)
        if given is None and number < len(self._recipes):
            given = self._recipes[number]
        if given is not None:
            # Its values are not Optuna's business: what a user gave may lie outside the space others are drawn from.
            asked, recipe = study.ask(), given
        else:
            asked = study.ask(halving_space(self._base.optimiser))
            recipe = replace(self._base, **asked.params)
        name = f"tune-{number}"
        network = self._make_network(network_name, recipe)
        rungs: dict[int, float] = {}

        def judge(epoch: int, score: float) -> bool:
            rungs[epoch + 1] = score
            asked.report(score, epoch + 1)
            is_weak = asked.should_prune()  # is asked at every rung, where it takes note of the score
            # Those that race all go to the end: a network that learns slowly at first may be the better one.
            may_stop = self._config.tuner is Tuner.HALVING and number >= len(self._networks)
            return is_weak and may_stop and epoch + 1 < phase.epochs

        def after_epoch(epoch: int) -> dict[str, Any]:
            if epoch + 1 not in self._rungs(network_name):
                return {}
            scored = self._scored(phase, session)
            stop = judge(epoch, scored["score"])
            best = self._best_score([*(t.score for t in trials if t.score is not None), *rungs.values()])
            return {**scored, "best": best, "stop": stop}

        phase = self._phase(name, micro_batch_name(network_name), network, recipe, after_epoch)
        checkpoint = session.run.load_checkpoint(name)
        for epoch, past in enumerate(checkpoint["progress"]["history"] if checkpoint else []):
            if "score" in past:
                judge(epoch, past["score"])
        try:
            progress = train(phase, session)
        except DivergedError:
            return Trial(recipe, None, 0, "diverged", 0.0, {}, {}, network_name)
        state = "complete" if progress.epoch == phase.epochs else "pruned"
        attributes = dict(study.get_trials(deepcopy=False)[asked.number].system_attrs)
        score = rungs[progress.epoch]
        confidence, wins = None, False
        if self._config.race and state == "complete":
            confidence, wins = self._keep_if_better(number, network_name, network, score, trials, session)
        return Trial(
            recipe,
            score,
            progress.epoch,
            state,
            progress.seconds,
            rungs,
            attributes,
            network_name,
            confidence,
            wins,
        )

    def _keep_if_better(
        self, number: int, name: str, network: nn.Module, score: float, trials: list[Trial], session: Session
    ) -> tuple[float | None, bool]:
        """How sure it is that a trial is better than the best before it, and whether that is sure enough.

        Weights are kept where they count: those of the first trial of each network, and of each one that wins.
        """
        kept = session.run.load_checkpoint(tuned_weights(name))
        if kept is not None and kept.get("trial") == number:  # decided before the process was stopped
            if isinstance(kept.get("wins"), bool) and isinstance(kept.get("confidence"), float | None):
                return kept["confidence"], kept["wins"]
            raise _misfit(name)
        confidence, wins = None, False
        if any(trial.state == "complete" for trial in trials):
            best = self.best(trials)
            rival = self._make_network(best.network, best.recipe)
            load_tuned_weights(session.run, best.network, rival)
            ours, theirs = self._predict(network, name, session), self._predict(rival, best.network, session)
            confidence = confidence_of(self._metric, ours, theirs, self._validation)
            assert best.score is not None
            if number >= len(self._networks) or num_parameters(network) > num_parameters(rival):
                wins = is_evidence(confidence)
            else:
                wins = self._metric.is_better(score, best.score) and confidence > EVEN
        is_first = not any(trial.network == name and trial.state == "complete" for trial in trials)
        if is_first or wins:
            state = {"network": network.state_dict(), "trial": number, "confidence": confidence, "wins": wins}
            session.run.save_checkpoint(tuned_weights(name), state)
        return confidence, wins

    def _network_of(self, number: int, trials: list[Trial]) -> str:
        """The one that a trial is for: those that race one after the other, then the best of them."""
        if number < len(self._networks):
            return self._networks[number]
        raced = trials[: len(self._networks)]
        return self.best(raced).network if any(trial.state == "complete" for trial in raced) else self._networks[0]

    def _phase(
        self,
        name: str,
        network_name: str,
        network: nn.Module,
        recipe: Recipe,
        after_epoch: Callable[[int], dict[str, Any]],
    ) -> Phase:
        return retrain_phase(
            name,
            network,
            self._train_part,
            self._loss,
            recipe,
            self._training,
            epochs=self._schedule.epochs_of(network_name),
            batch_size=self._batch_size,
            seed=derive_seed(self._seed, "tune"),
            network_name=network_name,
            subsample=self._config.subsample,
            after_epoch=after_epoch,
        )

    def _scored(self, phase: Phase, session: Session) -> dict[str, Any]:
        score = value_of(self._metric, self._predict(phase.model, phase.network_name, session), self._validation)
        if not math.isfinite(score):
            raise DivergedError(f"the {self._metric.name} on the validation part became {score}")
        return {"score": score, "metric": self._metric.name}

    def _predict(self, network: nn.Module, name: str, session: Session) -> np.ndarray:
        at_once = shared_micro_batch(session.run, micro_batch_name(name), self._batch_size)
        return predict_part(network, self._validation, at_once, session.device)

    def _rungs(self, network: str) -> list[int]:
        return _rungs(self._schedule.epochs_of(network), self._config.reduction)

    def _best_score(self, scores: list[float]) -> float:
        return max(scores) if self._metric.higher_is_better else min(scores)

    def _study(self, number: int, trials: list[Trial], network: str) -> optuna.Study:
        """What is known of a network's trials."""
        sampler = optuna.samplers.RandomSampler(seed=derive_seed(self._seed, "recipe", number) % 2**32)
        pruner = optuna.pruners.SuccessiveHalvingPruner(
            min_resource=self._rungs(network)[0], reduction_factor=self._config.reduction
        )
        direction = StudyDirection.MAXIMIZE if self._metric.higher_is_better else StudyDirection.MINIMIZE
        with _quiet_optuna():
            study = optuna.create_study(direction=direction, sampler=sampler, pruner=pruner)
        for trial in trials:
            diverged = trial.score is None
            study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.FAIL if diverged else optuna.trial.TrialState.COMPLETE,
                    value=None if diverged else trial.score,
                    intermediate_values=dict(trial.rungs),
                    system_attrs=trial.attributes,
                )
            )
        return study

    def _may_skip_rest(self, trials: list[Trial]) -> bool:
        """Whether the last learning rate of the grid can be left out, as in the authors' code."""
        if self._config.tuner is not Tuner.GRID:
            return False
        per_rate = len(grid(self._config)) // len(GRID["learning_rate"])
        if len(trials) != 2 * per_rate or not any(trial.state == "complete" for trial in trials):
            return False
        return self.best(trials) in trials[:per_rate]


def tuned_weights(network: str) -> str:
    """Name of the checkpoint with the weights of a network's best trial, under "network"."""
    return f"tuned-{network}"


def load_tuned_weights(run: Run, name: str, network: nn.Module) -> None:
    """Give a network the weights that the one of this name has from the race.

    Raises:
        RunError: they are gone, or of something else.
    """
    weights = run.load_checkpoint(tuned_weights(name))
    if weights is None:
        raise RunError(
            f"checkpoints/{tuned_weights(name)}.pt is missing in {run.folder}, the weights that the race left; delete "
            "tune.json and winner.json too, and the race is repeated"
        )
    try:
        network.load_state_dict(weights["network"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise _misfit(name) from error


def _misfit(network: str) -> RunError:
    file = f"checkpoints/{tuned_weights(network)}.pt"
    return RunError(
        f"{file} does not fit the rest of the run; delete it, tune.json and winner.json, and the race is repeated"
    )


def micro_batch_name(network: str) -> str:
    """Under which a network's micro-batch is kept; a random architecture needs no more than the largest derived one."""
    return "derived" if network == "random" else network


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Without the line on standard error that each new study is announced with."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def trial_to_json(trial: Trial) -> dict[str, Any]:
    """As plain containers, for `tune.json`."""
    return asdict(trial)


def trial_from_json(content: dict[str, Any]) -> Trial:
    """The inverse of `trial_to_json`, after a trip through a JSON file."""
    for name in ("score", "confidence"):
        if not isinstance(content[name], float | int | None):
            raise ValueError(f"{name} is {content[name]!r}")
    if not isinstance(content["wins"], bool):
        raise ValueError(f"wins is {content['wins']!r}")
    rungs = {int(epochs): score for epochs, score in content["rungs"].items()}
    return Trial(**{**content, "recipe": Recipe(**content["recipe"]), "rungs": rungs})


def _rungs(epochs: int, reduction: int) -> list[int]:
    """After how many epochs trials are compared: the last, and up to two earlier ones, each a fraction of the next."""
    rungs = [epochs]
    while len(rungs) < 3 and rungs[0] // reduction >= 2:
        rungs.insert(0, rungs[0] // reduction)
    return rungs


def grid(config: TuneConfig) -> list[Recipe]:
    """The paper's recipes in the order in which they are tried."""
    recipes = [Recipe()]
    for name, values in reversed((SMALL_GRID if config.small_grid else GRID).items()):
        recipes = [replace(recipe, **{name: value}) for value in values for recipe in recipes]  # type: ignore[arg-type]
    return recipes
