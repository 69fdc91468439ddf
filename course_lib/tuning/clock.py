"""How long a run has taken, how long it will take, and a bar that shows it."""

from __future__ import annotations

import time

from tqdm.auto import tqdm

FIRST_STEPS = 3


class Clock:
    """Measures a run from its creation; seconds_before are those of the parts of the run before an interruption."""

    def __init__(self, seconds_before: float = 0.0) -> None:
        self.seconds_before = seconds_before
        self.started = time.perf_counter()
        self.ends: list[float] = []

    def begin(self, n_steps: int, done: int, *, show: bool) -> None:
        """Show the bar of a run of n_steps, of which some are done; call when the first step begins."""
        self.n_steps, self.show = n_steps, show
        self.bar = tqdm(total=n_steps, initial=done, desc="Training", unit="step", disable=not show, leave=False)

    def tick(self, done: int, loss: float) -> None:
        """Note the end of a step; after the third, say once how long the rest takes."""
        self.ends.append(time.perf_counter())
        self.bar.update()
        self.bar.set_postfix(loss=f"{loss:.3f}")
        left = self.seconds_left(done)
        if self.show and left is not None and len(self.ends) == FIRST_STEPS:
            print(f"Step {done} of {self.n_steps}: about {max(1, round(left))} s left")

    def seconds_left(self, done: int) -> float | None:
        """Return the mean time of a step, the first not counted, times the steps left; None in the first two steps."""
        if len(self.ends) < FIRST_STEPS:
            return None
        return (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1) * (self.n_steps - done)

    @property
    def seconds(self) -> float:
        """Return the seconds of all parts of the run, the reading of the examples and the evaluations included."""
        return self.seconds_before + time.perf_counter() - self.started
