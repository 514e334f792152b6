"""Tuning a network's block: Optuna draws values from ranges, validation NDCG@10 judges them.

The trials are kept in a SQLite file, each as soon as it is over. A search that was interrupted goes
on from there, and draws what it would have drawn.
"""

import gc
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import optuna
import pandas as pd
from omegaconf import OmegaConf
from optuna import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import DatabaseError
from tqdm import tqdm

from bazar.config.base import Options
from bazar.config.networks import NetworkBlock
from bazar.config.tuning import Choices, NumberRange, PrunerOptions, TuningOptions
from bazar.data.windows import Windows
from bazar.errors import DivergenceError, InputError
from bazar.training.checkpoints import fingerprint
from bazar.training.search_space import (
    Scalar,
    block_values,
    check_ranges,
    is_within,
    rounded,
    with_values,
)
from bazar.training.trainer import list_training_arrays, train_network

logger = logging.getLogger(__name__)

_JUDGE = "val_ndcg@10"
# Complete trials; with fewer, chance decides what seems to matter.
_ENOUGH_TO_TELL = 8
_OVER = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class TuningResult:
    """What a search has found.

    Attributes:
        block: the best block.
        trials: a row per trial, without those that were cut off by an interruption: ``trial`` (from
            1), ``state`` (``complete``, or ``pruned`` if it was given up), ``val_ndcg@10`` (of the
            epoch that a training keeps; of the best epoch if given up, NaN if there is none),
            ``epochs``, ``seconds``, and a column for each key that is searched.
        as_it_stands: validation NDCG@10 of the block before the search; None where its values are
            not within the ranges.
        importances: by key, the largest first, how much of the differences between the complete
            trials it explains; they add up to 1. Empty where there are too few to tell.
    """

    block: NetworkBlock
    trials: pd.DataFrame
    as_it_stands: float | None
    importances: dict[str, float]


class _Task(Options):
    """What trials have in common: those of another task are not comparable."""

    block: NetworkBlock
    ranges: dict[str, NumberRange | Choices]


def tune_network(
    train: Windows,
    validation: Windows,
    block: NetworkBlock,
    options: TuningOptions,
    n_items: int,
    seed: int,
    item_vectors: np.ndarray,
    storage: Path,
) -> TuningResult:
    """Look for the values of a block with the highest validation NDCG@10.

    The block as it stands is the first trial, if its values lie within the ranges.

    Args:
        train: rows to learn from.
        validation: rows that judge.
        block: what is tuned.
        options: the ranges, and how many trials.
        n_items: size of the catalogue.
        seed: of every training.
        item_vectors: shape (n_items + 1, dimension), float32; see
            :func:`~bazar.training.train_network`.
        storage: SQLite file of the trials; it need not exist. It can hold trials on other data, of
            other blocks and of other ranges, which count for nothing here.

    Raises:
        InputError: if the block does not have a key, or refuses a value, if the file is of another
            kind, if there is nothing to learn from, or if every training diverged.
    """
    check_ranges(block, options.searched)
    task = _Task(block=block, ranges=options.searched)
    read = [*list_training_arrays(train, validation, item_vectors), np.array(n_items)]

    def run(trial: Trial) -> float:
        values = {
            key: rounded(among, _suggest(trial, key, among)) for key, among in task.ranges.items()
        }

        def report(figures: dict[str, float]) -> None:
            # Optuna counts steps from 0.
            trial.report(figures[_JUDGE], int(figures["epoch"]) - 1)
            if trial.should_prune():
                raise optuna.TrialPruned

        # The networks of the trials before are not needed any more.
        keras.backend.clear_session()
        gc.collect()
        try:
            trained = train_network(
                train,
                validation,
                with_values(block, values),
                n_items,
                seed,
                item_vectors,
                after_epoch=report,
            )
        except DivergenceError as error:
            raise optuna.TrialPruned from error
        return float(trained.training_log[_JUDGE].iloc[int(trained.facts["best_epoch"]) - 1])

    with _open_study(storage, fingerprint(task, seed, read), options.pruner) as study:
        _run_trials(study, run, task, options)
        return _result(study, task, options)


def format_best_network(result: TuningResult, model: str, network: str) -> str:
    """Write the best block as parameters, ready to be copied into an environment.

    Args:
        result: of the search.
        model: ``classifier`` or ``regressor``.
        network: name of the network that was tuned.

    Returns:
        YAML, with a comment on top that says how good it is and how to use it.
    """
    trials = result.trials
    name = f"{network}_searched"
    best = f"# Validation NDCG@10 {trials[_JUDGE][_best(trials)]:.4f}"
    if result.as_it_stands is not None:
        best += f"; of {network} as it stands {result.as_it_stands:.4f}"
    lines = [
        f"# The best of {len(trials)} trials of {model}'s network {network}, "
        f"{(trials['state'] == 'pruned').sum()} of them given up early.",
        f"{best}.",
        "#",
        "# To use it, copy this file to conf/<env>/parameters_searched.yml (conf/local, where you",
        f"# run without --env). If files there say something of {model} already, put the block",
        "# under their networks instead. Then",
        f"#     .venv/bin/kedro run --params {model}.network={name}",
    ]
    block = result.block.model_dump(mode="json", exclude_defaults=True)
    parameters = OmegaConf.to_yaml(OmegaConf.create({model: {"networks": {name: block}}}))
    return "\n".join([*lines, parameters])


def _best(trials: pd.DataFrame) -> int:
    """Which row of a table of trials is the best complete one, from 0."""
    return int(np.argmax(trials[_JUDGE].where(trials["state"] == "complete", -np.inf)))


@contextmanager
def _open_study(storage: Path, name: str, pruner: PrunerOptions) -> Iterator[Study]:
    # What Optuna tells of its trials is told here, beside the bar.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage.parent.mkdir(parents=True, exist_ok=True)
    try:
        database = optuna.storages.RDBStorage(f"sqlite:///{storage}")
    except DatabaseError as error:
        raise InputError(
            f"{storage}: {error.orig}\nRemove it: the search starts anew, without its trials"
        ) from error
    try:
        yield optuna.create_study(
            storage=database,
            study_name=name,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=pruner.startup_trials, n_warmup_steps=pruner.warmup_epochs
            ),
            load_if_exists=True,
        )
    finally:
        database.remove_session()
        database.engine.dispose()


def _run_trials(
    study: Study, run: Callable[[Trial], float], task: _Task, options: TuningOptions
) -> None:
    """Run the trials that are missing."""
    for cut_off in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(cut_off.number, state=TrialState.FAIL)
    started = time.monotonic()
    n_over = len(_over(study))
    if 0 < n_over < options.trials:
        logger.info("going on after trial %d, where the search stopped", n_over)
    with tqdm(total=options.trials, initial=n_over, desc="search", unit="trial") as bar:
        while n_over < options.trials:
            minutes = (time.monotonic() - started) / 60
            if n_over and options.minutes is not None and minutes > options.minutes:
                logger.info("no trial is started after %g minutes", options.minutes)
                break
            _run_trial(study, run, task, options.seed, n_over)
            n_over += 1
            last = _over(study)[-1]
            complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            best = max((trial.value or 0 for trial in complete), default=math.nan)
            logger.info(
                "trial %d of %d: %s after %d epochs, NDCG@10 %.4f; the best so far %.4f",
                n_over,
                options.trials,
                last.state.name.lower(),
                len(last.intermediate_values),
                _ndcg(last),
                best,
            )
            bar.set_postfix_str(f"best NDCG@10 {best:.4f}")
            bar.update()


def _run_trial(
    study: Study, run: Callable[[Trial], float], task: _Task, seed: int, n_over: int
) -> None:
    # What is drawn depends on the trials that are over, not on how often the search was started.
    draws = np.random.SeedSequence([seed, n_over]).generate_state(1)
    study.sampler = optuna.samplers.TPESampler(seed=int(draws[0]))
    if n_over == 0:
        own = {key: value for key, value in block_values(task.block).items() if key in task.ranges}
        waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if not waiting and all(is_within(task.ranges[key], own[key]) for key in own):
            study.enqueue_trial(own)
    trial = study.ask()
    try:
        study.tell(trial, run(trial))
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except BaseException:
        study.tell(trial, state=TrialState.FAIL)
        raise


def _suggest(trial: Trial, key: str, among: NumberRange | Choices) -> Scalar:
    if isinstance(among, Choices):
        return trial.suggest_categorical(key, among.choices)
    if among.whole:
        return trial.suggest_int(key, int(among.low), int(among.high), log=among.log)
    return trial.suggest_float(key, among.low, among.high, log=among.log)


def _over(study: Study) -> list[FrozenTrial]:
    """The trials that count, in their order."""
    return study.get_trials(deepcopy=False, states=_OVER)


def _ndcg(trial: FrozenTrial) -> float:
    if trial.state == TrialState.COMPLETE:
        assert trial.value is not None
        return trial.value
    return max(trial.intermediate_values.values(), default=math.nan)


def _result(study: Study, task: _Task, options: TuningOptions) -> TuningResult:
    over = _over(study)
    drawn = [
        {key: rounded(among, trial.params[key]) for key, among in task.ranges.items()}
        for trial in over
    ]
    rows = [
        {
            "trial": number,
            "state": trial.state.name.lower(),
            _JUDGE: _ndcg(trial),
            "epochs": len(trial.intermediate_values),
            "seconds": round(trial.duration.total_seconds(), 2) if trial.duration else math.nan,
            **values,
        }
        for number, (trial, values) in enumerate(zip(over, drawn, strict=True), start=1)
    ]
    trials = pd.DataFrame(rows)
    complete = trials["state"] == "complete"
    if not complete.any():
        raise InputError(
            f"no trial of {len(trials)} was trained to its end: every training diverged\n"
            "Give search.ranges.training.learning_rate smaller numbers"
        )
    stands = complete[0] and with_values(task.block, drawn[0]) == task.block
    return TuningResult(
        with_values(task.block, drawn[_best(trials)]),
        trials,
        _ndcg(over[0]) if stands else None,
        _importances(study, options.seed),
    )


def _importances(study: Study, seed: int) -> dict[str, float]:
    """Importances by fANOVA (Hutter et al. 2014)."""
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < _ENOUGH_TO_TELL or len({trial.value for trial in complete}) < 2:
        return {}
    return optuna.importance.get_param_importances(study, evaluator=evaluator)
