"""Tuning of a network's block: Optuna draws values, and validation NDCG@10 compares them.

The trials are stored in a SQLite file, each as soon as it is finished. An interrupted tuning
continues after the last finished trial, with the same draws as without the interruption.
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
from bazar.data.item_words import ItemTexts
from bazar.data.windows import Windows
from bazar.errors import DivergenceError, InputError
from bazar.training.checkpoints import fingerprint
from bazar.training.search_space import (
    Range,
    Scalar,
    check_ranges,
    is_within,
    list_block_values,
    replace_values,
    round_value,
)
from bazar.training.trainer import list_training_arrays, train_network

logger = logging.getLogger(__name__)

_METRIC = "val_ndcg@10"
# With fewer complete trials, the importances are mostly noise.
_MIN_TRIALS_FOR_IMPORTANCES = 8
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class TuningResult:
    """The result of a tuning.

    Attributes:
        block: the best block.
        trials: one row per finished trial: ``trial`` (from 1), ``state`` (``complete`` or
            ``pruned``), ``val_ndcg@10`` (of the best epoch; of a pruned trial, of its best epoch so
            far, or NaN), ``epochs``, ``seconds``, and a column per tuned key. Interrupted trials
            are left out.
        initial_ndcg: validation NDCG@10 of the original block; None if its values are not within
            the ranges.
        importances: by key, in descending order: the share of the differences between complete
            trials that the key explains. They add up to 1. Empty if there are too few trials.
    """

    block: NetworkBlock
    trials: pd.DataFrame
    initial_ndcg: float | None
    importances: dict[str, float]


class _Task(Options):
    """The settings that all trials of a study share. Only such trials are comparable."""

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
    filter_seen: bool = True,
    texts: ItemTexts | None = None,
) -> TuningResult:
    """Search the values of a block with the highest validation NDCG@10.

    If the values of the original block lie within the ranges, it is the first trial.

    Args:
        train: rows to learn from.
        validation: rows to compare trials by.
        block: the block to tune.
        options: the ranges and the number of trials.
        n_items: size of the catalogue.
        seed: seed of each training.
        item_vectors: shape (n_items + 1, dimension), float32; see
            :func:`~bazar.training.trainer.train_network`.
        storage: SQLite file with the trials, which does not have to exist. Trials in it with other
            data, blocks or ranges are not used.
        filter_seen: as in :func:`~bazar.training.trainer.train_network`.
        texts: as in :func:`~bazar.training.trainer.train_network`.

    Raises:
        InputError: if the block does not have a key or rejects a value; if the file is not a
            database; if there are no rows to learn from; or if all trainings diverged.
    """
    check_ranges(block, options.active_ranges)
    task = _Task(block=block, ranges=options.active_ranges)
    arrays = list_training_arrays(train, validation, item_vectors)
    arrays += [np.array(n_items), np.array(filter_seen)]
    if texts is not None:
        arrays.append(texts.to_bytes())

    def run_training(changed: NetworkBlock, trial: Trial) -> float:
        trained = train_network(
            train,
            validation,
            changed,
            n_items,
            seed,
            item_vectors,
            after_epoch=lambda metrics: _report_epoch(trial, metrics),
            filter_seen=filter_seen,
            texts=texts,
        )
        return float(trained.training_log[_METRIC].iloc[int(trained.facts["best_epoch"]) - 1])

    with _open_study(storage, fingerprint(task, seed, arrays), options.pruner) as study:
        _run_trials(study, _make_objective(task, run_training), task, options)
        return _summarise_study(study, task, options)


def format_best_network(result: TuningResult, model: str, network: str) -> str:
    """Format the best block as parameters that can be copied to an environment.

    Args:
        result: result of the tuning.
        model: ``classifier`` or ``regressor``.
        network: name of the tuned network.

    Returns:
        YAML, with a comment that states the result and explains how to use the block.
    """
    trials = result.trials
    name = f"{network}_tuned"
    best = f"# Validation NDCG@10: {trials[_METRIC][_find_best_row(trials)]:.4f}"
    if result.initial_ndcg is not None:
        best += f"; {network} before the tuning: {result.initial_ndcg:.4f}"
    lines = [
        f"# The best of {len(trials)} trials of the {model}'s network {network}, "
        f"{(trials['state'] == 'pruned').sum()} of them pruned.",
        f"{best}.",
        "#",
        "# To use it, copy this file to conf/<env>/parameters_tuned.yml (conf/local if you run",
        f"# without --env). If a file there already has a key {model}, put the block under its",
        "# networks instead. Then run",
        f"#     .venv/bin/kedro run --params {model}.network={name}",
    ]
    block = result.block.model_dump(mode="json", exclude_defaults=True)
    parameters = OmegaConf.to_yaml(OmegaConf.create({model: {"networks": {name: block}}}))
    return "\n".join([*lines, parameters])


def _report_epoch(trial: Trial, metrics: dict[str, float]) -> None:
    """Report an epoch to Optuna, and raise TrialPruned if the trial is not promising."""
    # Optuna counts steps from 0.
    trial.report(metrics[_METRIC], int(metrics["epoch"]) - 1)
    if trial.should_prune():
        raise optuna.TrialPruned


def _make_objective(
    task: _Task, run_training: Callable[[NetworkBlock, Trial], float]
) -> Callable[[Trial], float]:
    """Make the function that draws the values of a trial, trains with them and returns NDCG@10."""

    def run(trial: Trial) -> float:
        values = {
            key: round_value(values, _suggest_value(trial, key, values))
            for key, values in task.ranges.items()
        }
        # Free the networks of earlier trials.
        keras.backend.clear_session()
        gc.collect()
        try:
            return run_training(replace_values(task.block, values), trial)
        except DivergenceError as error:
            raise optuna.TrialPruned from error

    return run


def _find_best_row(trials: pd.DataFrame) -> int:
    """Find the row of the best complete trial, from 0."""
    return int(np.argmax(trials[_METRIC].where(trials["state"] == "complete", -np.inf)))


@contextmanager
def _open_study(storage: Path, name: str, pruner: PrunerOptions) -> Iterator[Study]:
    # This module logs the trials itself.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage.parent.mkdir(parents=True, exist_ok=True)
    try:
        database = optuna.storages.RDBStorage(f"sqlite:///{storage}")
    except DatabaseError as error:
        raise InputError(
            f"{storage} cannot be opened: {error.orig}.\n"
            "Delete the file and run again. Its trials are lost."
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
    """Run the missing trials."""
    for interrupted in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(interrupted.number, state=TrialState.FAIL)
    started = time.monotonic()
    n_finished = len(_list_finished(study))
    if 0 < n_finished < options.trials:
        logger.info("Resuming tuning after trial %d of %d", n_finished, options.trials)
    # disable=None: no bar if stderr is not a terminal.
    with tqdm(
        total=options.trials, initial=n_finished, desc="tuning", unit="trial", disable=None
    ) as bar:
        while n_finished < options.trials:
            minutes = (time.monotonic() - started) / 60
            if n_finished and options.minutes is not None and minutes > options.minutes:
                logger.info("The limit of %g minutes is reached: no more trials", options.minutes)
                break
            _run_trial(study, run, task, options.seed, n_finished)
            n_finished += 1
            best = _log_last_trial(study, n_finished, options.trials)
            bar.set_postfix_str(f"best NDCG@10 {best:.4f}")
            bar.update()


def _log_last_trial(study: Study, number: int, n_trials: int) -> float:
    """Log the last trial, and return the best NDCG@10 of all complete trials, or NaN."""
    last = _list_finished(study)[-1]
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    best = max((trial.value or 0 for trial in complete), default=math.nan)
    logger.info(
        "Trial %d of %d: %s after %d epochs, NDCG@10 %.4f (best so far: %.4f)",
        number,
        n_trials,
        last.state.name.lower(),
        len(last.intermediate_values),
        _get_ndcg(last),
        best,
    )
    return best


def _run_trial(
    study: Study, run: Callable[[Trial], float], task: _Task, seed: int, n_finished: int
) -> None:
    # The draws depend on the number of finished trials, not on the number of interruptions.
    draws = np.random.SeedSequence([seed, n_finished]).generate_state(1)
    study.sampler = optuna.samplers.TPESampler(seed=int(draws[0]))
    if n_finished == 0:
        values = list_block_values(task.block)
        initial = {key: values[key] for key in values if key in task.ranges}
        waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if not waiting and all(is_within(task.ranges[key], initial[key]) for key in initial):
            study.enqueue_trial(initial)
    trial = study.ask()
    try:
        study.tell(trial, run(trial))
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except BaseException:
        study.tell(trial, state=TrialState.FAIL)
        raise


def _suggest_value(trial: Trial, key: str, values: Range) -> Scalar:
    if isinstance(values, Choices):
        return trial.suggest_categorical(key, values.choices)
    if values.is_integer:
        return trial.suggest_int(key, int(values.low), int(values.high), log=values.log)
    return trial.suggest_float(key, values.low, values.high, log=values.log)


def _list_finished(study: Study) -> list[FrozenTrial]:
    """List the complete and the pruned trials, in order."""
    return study.get_trials(deepcopy=False, states=_FINISHED)


def _get_ndcg(trial: FrozenTrial) -> float:
    if trial.state == TrialState.COMPLETE:
        assert trial.value is not None
        return trial.value
    return max(trial.intermediate_values.values(), default=math.nan)


def _summarise_study(study: Study, task: _Task, options: TuningOptions) -> TuningResult:
    finished = _list_finished(study)
    drawn = [
        {key: round_value(values, trial.params[key]) for key, values in task.ranges.items()}
        for trial in finished
    ]
    rows = [
        {
            "trial": number,
            "state": trial.state.name.lower(),
            _METRIC: _get_ndcg(trial),
            "epochs": len(trial.intermediate_values),
            "seconds": round(trial.duration.total_seconds(), 2) if trial.duration else math.nan,
            **values,
        }
        for number, (trial, values) in enumerate(zip(finished, drawn, strict=True), start=1)
    ]
    trials = pd.DataFrame(rows)
    complete = trials["state"] == "complete"
    if not complete.any():
        raise InputError(
            f"No trial of {len(trials)} is complete: every training diverged.\n"
            "Set smaller values in tuning.ranges.training.learning_rate."
        )
    is_initial = complete[0] and replace_values(task.block, drawn[0]) == task.block
    return TuningResult(
        replace_values(task.block, drawn[_find_best_row(trials)]),
        trials,
        _get_ndcg(finished[0]) if is_initial else None,
        _compute_importances(study, options.seed),
    )


def _compute_importances(study: Study, seed: int) -> dict[str, float]:
    """Compute importances by fANOVA (Hutter et al. 2014)."""
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < _MIN_TRIALS_FOR_IMPORTANCES or len({trial.value for trial in complete}) < 2:
        return {}
    return optuna.importance.get_param_importances(study, evaluator=evaluator)
