"""All that surrounds the training loop: checks, batches, validation, early stopping, checkpoints, the time that is left."""

from __future__ import annotations

import contextlib
import gc
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from course_lib.core.heap import return_freed_memory
from course_lib.tuning import checkpoints
from course_lib.tuning.activations import CachedActivations, frozen_layers
from course_lib.tuning.batches import Row, batch_of, length_of, steps_per_epoch, warmup_steps
from course_lib.tuning.clock import Clock
from course_lib.tuning.evaluating import EarlyStopping, evaluate_rows, require_classes
from course_lib.tuning.freezing import gradual_unfreezing
from course_lib.tuning.heads import TextClassifier
from course_lib.tuning.modes import mode
from course_lib.tuning.optimizers import adamw, groups_for
from course_lib.tuning.processes import processes
from course_lib.tuning.settings import Evaluation, StepReport, TrainingDiverged, TrainingResult, TrainingSettings


class Run:
    """One training run: what the loop reads, and what happens between two updates. Used by `train` alone."""

    def __init__(
        self,
        model: Any,
        examples: Sequence[Any],
        settings: TrainingSettings,
        validation: Sequence[Any] | None,
        folder: Path | str | None,
        on_step: Callable[[StepReport], object] | None,
        progress: bool,
    ) -> None:
        gc.collect()  # a former trainer and its model often hold one another
        return_freed_memory()
        self.model, self.settings = model, settings
        self.examples, self.validation_examples = list(examples), list(validation or [])
        self.folder = Path(folder) if folder is not None else None
        self.on_step, self.progress, self.team = on_step, progress, processes()
        self._check(validation)
        if settings.unfreeze:
            gradual_unfreezing(model, 0, per_epoch=settings.unfreeze)
        if self.team.device is not None:
            model.to(self.team.device)
        self.team.broadcast(list(model.parameters()))
        groups = groups_for(model, settings)
        self.parameters = [value for group in groups for value in group.parameters]
        chosen = {id(value) for value in self.parameters}
        self.trained = {name: value for name, value in model.named_parameters() if id(value) in chosen}
        self.optimizer = adamw(groups, settings.weight_decay)
        self.batch_size = settings.batch_size * self.team.n
        self.per_epoch = steps_per_epoch(len(self.examples), self.batch_size)
        self.n_steps = self.per_epoch * settings.epochs
        self.n_warmup = warmup_steps(settings.warmup, self.n_steps)
        self.losses: list[float] = []
        self.rates: list[float] = []
        self.stopping = EarlyStopping(settings.patience)
        self.seconds, self.tokens, self.stopped_because = 0.0, 0, ""
        self.truncated = self.cached = 0
        self.identity = self._identity() if self.folder is not None else {}
        self._resume()
        self.first = len(self.losses)
        self.clock = Clock(self.seconds)
        self.finished = bool(self.stopped_because)
        self._read()

    def _check(self, validation: Sequence[Any] | None) -> None:
        if not self.examples:
            raise ValueError("examples must not be empty: there is nothing to learn from")
        if validation is not None and not self.validation_examples:
            raise ValueError("validation must hold examples, or be None")
        if self.settings.patience is not None and validation is None:
            raise ValueError(f"patience={self.settings.patience} needs validation examples, which tell when to stop")
        if isinstance(self.model, TextClassifier):
            require_classes(self.model, self.examples, self.settings.min_per_class)

    def _read(self) -> None:
        """Encode the examples, through the frozen lower layers where their activations can be kept."""
        settings, self.reader = self.settings, self.model
        if settings.cache and not settings.dropout and not settings.unfreeze and frozen_layers(self.model):
            self.reader = CachedActivations(self.model, precision=settings.precision)
            self.cached = self.reader.n_layers
        self.rows: list[Row] = [] if self.finished else self.reader.encode(self.examples)
        self.validation: list[Row] = [] if self.finished else self.reader.encode(self.validation_examples)
        if isinstance(self.model, TextClassifier):
            self.truncated = len(self.model.truncated([text for text, _ in self.examples]))

    # ------------------------------------------------------------ before and after the loop

    def __enter__(self) -> Run:
        self.random_state = torch.random.get_rng_state()
        # Dropout is off unless the settings ask for it: drawing its masks takes 30 % of a step's time on two cores, and
        # on few examples early stopping does its work.
        self.mode = mode(self.model, training=self.settings.dropout)
        self.mode.__enter__()
        self.clock.begin(self.n_steps, self.first, show=self.progress and self.team.first)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clock.bar.close()
        self.optimizer.zero_grad()
        self.mode.__exit__(None, None, None)
        torch.random.set_rng_state(self.random_state)
        return_freed_memory()
        if kind is None and not self.finished:
            self.stopped_because = self.stopped_because or "all epochs done"
            if self.stopping.weights is not None:
                checkpoints.put_back(self.trained, self.stopping.weights)
            self._save()

    def result(self) -> TrainingResult:
        """Return what the run gave."""
        return TrainingResult(
            losses=self.losses,
            validation=self.stopping.evaluations,
            best_step=self.stopping.best_step,
            minutes=self.seconds / 60,
            tokens_per_second=self.tokens / self.seconds if self.seconds else 0.0,
            stopped_because=self.stopped_because,
            n_steps=self.n_steps,
            truncated=self.truncated,
            cached_layers=self.cached,
            learning_rates=self.rates,
        )

    # ------------------------------------------------------------ in the loop

    def batches(self) -> Iterator[tuple[int, list[Row]]]:
        """Yield the number of each update, from 0 or where the run was interrupted, and the rows that it reads."""
        settings = self.settings
        for step in range(self.first, 0 if self.finished else self.n_steps):
            if settings.unfreeze and (step == self.first or step % self.per_epoch == 0):
                gradual_unfreezing(self.model, step // self.per_epoch, per_epoch=settings.unfreeze)
            if settings.dropout:  # the masks depend on the step alone, so that a resumed run draws the same
                torch.manual_seed((settings.seed * 1_000_003 + step) * 101 + self.team.rank)
            yield step, [self.rows[i] for i in batch_of(len(self.rows), self.batch_size, step, settings.seed)]

    def number_format(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which the model computes: bfloat16 where the settings ask for it."""
        device = self.parameters[0].device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.settings.precision == "bfloat16")

    def finite(self, step: int, loss: float, norm: float, rate: float) -> float:
        """Return loss; raise TrainingDiverged, before the weights change, unless it and the gradients are numbers."""
        if math.isfinite(loss) and math.isfinite(norm):
            return loss
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient norm is {norm}"
        path = self.folder / checkpoints.FILE if self.folder else None
        kept = f"the last good state is kept in {path}" if path and path.is_file() else "no checkpoint was saved yet"
        raise TrainingDiverged(
            f"training stopped at step {step + 1}: {what} at learning rate {rate:.2g}. Try a tenth of the learning rate, "
            f"and look for odd texts; {kept}, and the model holds the weights of before this step"
        )

    def after(self, step: int, batch: list[Row], loss: float, norm: float, rate: float) -> bool:
        """Note an update, evaluate, save and report when it is time; return whether to stop."""
        done, settings = step + 1, self.settings
        self.losses.append(loss)
        self.rates.append(rate)
        self.tokens += sum(map(length_of, batch))
        due = done == self.n_steps or done % (settings.evaluate_every or self.per_epoch) == 0
        evaluation = self._evaluate(done) if self.validation and due else None
        self.seconds = self.clock.seconds
        self.clock.tick(done, loss)
        if self.on_step is not None:
            report = StepReport(
                done, self.n_steps, done / self.per_epoch, loss, rate, norm, self.tokens / self.seconds,
                self.clock.seconds_left(done), evaluation,
            )  # fmt: skip
            if self.team.total(float(self.on_step(report) is True)):
                self.stopped_because = f"on_step asked for it after step {done}"
        if not self.stopped_because and done < self.n_steps and done % (settings.save_every or self.per_epoch) == 0:
            self._save()
        return bool(self.stopped_because)

    def _evaluate(self, done: int) -> Evaluation:
        with mode(self.model):
            loss, accuracy = evaluate_rows(self.reader, self.validation, precision=self.settings.precision)
        evaluation = Evaluation(done, done / self.per_epoch, loss, accuracy)
        self.stopped_because = self.stopping.note(evaluation, self.trained)
        return evaluation

    # ------------------------------------------------------------ checkpoints

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must agree with: settings, data, frozen weights, number of processes."""
        frozen = {name: value for name, value in self.model.named_parameters() if name not in self.trained}
        return {
            **asdict(self.settings),
            "examples": checkpoints.digest_of(self.examples),
            "validation": checkpoints.digest_of(self.validation_examples),
            "frozen weights": checkpoints.digest_of_weights(frozen),
            "trained weights": checkpoints.digest_of([(k, tuple(v.shape)) for k, v in self.trained.items()]),
            "processes": self.team.n,
        }

    def _save(self) -> None:
        if self.folder is not None and self.team.first:
            kept = ("losses", "rates", "seconds", "tokens", "stopped_because")
            checkpoints.write_state(
                self.folder,
                {
                    **{name: getattr(self, name) for name in kept},
                    "run": json.dumps(self.identity),
                    "weights": checkpoints.copy_of(self.trained),
                    "optimizer": self.optimizer.state_dict(),
                    "evaluations": [asdict(each) for each in self.stopping.evaluations],
                    "best": self.stopping.weights,
                    "best_step": self.stopping.best_step,
                },
            )
        self.team.wait()

    def _resume(self) -> None:
        state = checkpoints.read_state(self.folder, self.identity) if self.folder else None
        if state is None:
            return
        checkpoints.put_back(self.trained, state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.losses, self.rates = list(state["losses"]), list(state["rates"])
        self.stopping.evaluations = [Evaluation(**each) for each in state["evaluations"]]
        self.stopping.weights, self.stopping.best_step = state["best"], state["best_step"]
        self.seconds, self.tokens = float(state["seconds"]), int(state["tokens"])
        self.stopped_because = state["stopped_because"]
