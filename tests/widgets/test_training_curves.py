"""Training curves: the picture, the live plot fed by reports and by a real run, and the picker driven by its traits."""

from __future__ import annotations

import base64
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from course_lib.tuning.settings import Evaluation, StepReport, TrainingSettings
from course_lib.tuning.stored_runs import StoredRun
from course_lib.widgets.training_curves import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    LivePlot,
    alt,
    legend,
    picture,
    status,
    svg,
    training_curves_demo,
    training_curves_widget,
)

SVG = "{http://www.w3.org/2000/svg}"
SETTINGS = TrainingSettings(learning_rate=1e-3, batch_size=8, epochs=3, seed=5)


def run(rate: float = 1e-3, batch: int = 8, epochs: int = 3, seed: int = 5, end: float = 0.75) -> StoredRun:
    validation = (Evaluation(2, 1.0, 1.5, 0.25), Evaluation(4, 2.0, end, 0.75), Evaluation(6, 3.0, end + 0.25, 0.625))
    return StoredRun(rate, batch, epochs, seed, (2.5, 2.0, 1.5, 1.0, 0.5, 0.25), validation, 6)


RUNS = [run(), run(seed=6, end=1.0), run(1e-4, end=1.25), run(batch=16), run(epochs=9)]


def parsed(markup: str) -> ElementTree.Element:
    return next(iter(ElementTree.fromstring(f"<page>{markup}</page>")))


def corners(root: ElementTree.Element) -> list[list[tuple[float, float]]]:
    """The points of every line, in the picture's units."""
    lines = [node.get("points", "").split() for node in root.iter(f"{SVG}polyline")]
    return [[(float(x), float(y)) for x, y in (point.split(",") for point in line)] for line in lines]


# ---------------------------------------------------------------- the picture


def test_points_by_hand() -> None:
    """The upper edge is 2.5, six updates are the whole width. Update 3 has loss 1.5: x = 52 + 416 * 3/6 = 260, y = 256 -
    242 * 1.5/2.5 = 110.8. Few updates are not smoothed."""
    assert (WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM) == (480, 300, 52, 12, 14, 44)
    training, validation = corners(parsed(svg([run()])))
    assert len(training) == 6 and training[2] == (260.0, 110.8)
    assert training[0][1] == TOP
    assert validation == [(190.7, 110.8), (329.3, 183.4), (468.0, 159.2)]  # 1.5, 0.75, 1.0 at updates 2, 4, 6


def test_the_lowest_validation_is_a_diamond_and_the_others_squares() -> None:
    marks = [node.get("d", "") for node in parsed(svg([run()])).iter(f"{SVG}path") if node.get("fill") != "none"]
    assert ["l8 8" in mark for mark in marks] == [False, True, False]


def test_all_stays_within_the_frame_even_above_the_upper_edge() -> None:
    for runs in ([run()], [run(), run(seed=6)], [StoredRun(1e-2, 8, 3, 5, (3.0, 900.0), (), 6)]):
        root = parsed(svg(runs, highest=1.0))
        for x, y in [point for line in corners(root) for point in line]:
            assert LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM
        assert len(list(root.iter(f"{SVG}polyline"))) == sum(1 + bool(each.validation) for each in runs)


def test_a_run_that_stopped_early_ends_where_it_stopped() -> None:
    short = StoredRun(1e-3, 8, 3, 5, (2.0, 1.0), (), 8)
    assert corners(parsed(svg([short])))[0][-1][0] == LEFT + (WIDTH - LEFT - RIGHT) / 4
    assert "after 2 of 8 updates" in alt([short])


def test_losses_of_zero_can_be_drawn() -> None:
    assert "nan" not in svg([StoredRun(1e-3, 8, 3, 5, (0.0, 0.0), (), 2)]).lower()


def test_the_picture_in_words() -> None:
    words = alt([run(), run(seed=6, end=1.0)])
    assert words.startswith(
        "Learning rate 0.001, batches of 8, 3 epochs, 2 seeds. Seed 5: after 6 updates the training "
    )
    assert "loss is 0.25; validation loss lowest at update 4, 0.75; at the end 1.00, 0.62 right. Seed 6:" in words
    root = parsed(svg([run()]))
    assert root.get("role") == "img" and root.get("aria-label") == alt([run()])
    assert "1 seed." in alt([run()]) and "validation" not in alt([StoredRun(1e-3, 8, 3, 5, (2.0,), (), 1)])


def test_the_same_picture_as_an_image() -> None:
    image = parsed(picture([run()]).replace(">", "/>"))
    assert image.get("alt") == alt([run()])
    assert base64.b64decode(image.get("src", "").split(",")[1]).decode() == svg([run()])


@pytest.mark.parametrize("runs", [[], [run(), run(1e-4)]])
def test_a_picture_is_of_one_setting(runs: list[StoredRun]) -> None:
    for draw in (svg, alt, picture):
        with pytest.raises(ValueError, match=f"all of one setting, got {len(runs)} settings"):
            draw(runs)


def test_the_legend_has_the_colours_of_the_picture() -> None:
    root = parsed(svg([run()]))
    drawn = {node.get("stroke") for node in root.iter(f"{SVG}polyline")}
    assert set(re.findall("#[0-9a-f]{6}", legend())) == drawn
    ElementTree.fromstring(legend())


# ---------------------------------------------------------------- the live plot


def report(step: int, *, left: float | None = 8.4, evaluation: Evaluation | None = None, n: int = 25) -> StepReport:
    return StepReport(step, n, step / 10, 3 / step, 1e-3, 1.0, 500.0, left, evaluation)


def test_how_long_it_takes_is_said_once_it_is_known() -> None:
    assert status(report(4)) == "Update 4 of 25, epoch 0.4, loss 0.75, about 8 s left"
    assert status(report(4, left=0.1)).endswith("about 1 s left")
    assert status(report(1, left=None)) == "Update 1 of 25, epoch 0.1, loss 3.00"
    assert status(report(25, left=0.0)) == "Update 25 of 25, epoch 2.5, loss 0.12"


class Output:
    """What `display` was given, first and in updates."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, bundle: dict[str, Any], *, raw: bool, display_id: bool) -> Output:
        assert raw and display_id
        self.shown.append(("new", bundle))
        return self

    def update(self, bundle: dict[str, Any], *, raw: bool) -> None:
        assert raw
        self.shown.append(("update", bundle))


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Output:
    shown = Output()
    monkeypatch.setattr("IPython.display.display", shown)
    return shown


def test_it_draws_now_and_then_in_one_place(output: Output) -> None:
    plot = LivePlot(SETTINGS, every=10)
    for step in range(1, 26):
        plot(report(step, evaluation=Evaluation(13, 1.3, 0.5, 0.9) if step == 13 else None))
    assert [kind for kind, _ in output.shown] == ["new", "update", "update", "update"]  # updates 10, 13, 20 and 25
    said = [re.search(r"Update (\d+) of 25", bundle["text/html"]) for _, bundle in output.shown]
    assert [found and found[1] for found in said] == ["10", "13", "20", "25"]
    page = output.shown[-1][1]
    assert picture([plot.run()]) in page["text/html"] and page["text/plain"] == alt([plot.run()])
    assert plot.run().validation == (Evaluation(13, 1.3, 0.5, 0.9),) and len(plot.run().losses) == 25


def test_it_never_asks_the_run_to_stop(output: Output) -> None:
    assert LivePlot(SETTINGS)(report(10)) is None


def test_a_plot_needs_an_update() -> None:
    with pytest.raises(ValueError, match="every must be at least 1 update, got 0"):
        LivePlot(SETTINGS, every=0)
    with pytest.raises(ValueError, match="the run has not begun"):
        LivePlot(SETTINGS).run()


def test_it_follows_a_real_run(output: Output) -> None:
    """A small module that `train` can train: the plot must hold what the result holds, and leave the run as it is."""
    import torch

    from course_lib.tuning.stored_runs import stored_run
    from course_lib.tuning.training import train

    class Sums(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.head = torch.nn.Linear(2, 2)

        def encode(self, examples: Any) -> list[dict[str, Any]]:
            return [{"input_ids": list(values), "label": label} for values, label in examples]

        def collate(self, rows: Any) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
            values = torch.tensor([row["input_ids"] for row in rows], dtype=torch.float32)
            return {"values": values}, torch.tensor([row["label"] for row in rows])

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return torch.as_tensor(self.head(values))

    examples = [((1.0, 0.0), 0), ((0.0, 1.0), 1), ((2.0, 1.0), 0), ((1.0, 3.0), 1)]
    settings = TrainingSettings(learning_rate=0.05, epochs=4, batch_size=2, seed=3)
    plot = LivePlot(settings, every=3)
    watched = train(Sums(), examples, settings, validation=examples, on_step=plot)
    alone = train(Sums(), examples, settings, validation=examples)
    assert watched.losses == alone.losses
    assert plot.run() == stored_run(settings, watched)
    assert len(output.shown) == len({3, 6, 2, 4, 8})  # every third, and each epoch's evaluation


# ---------------------------------------------------------------- the picker


def test_the_sliders_offer_what_is_stored() -> None:
    box = training_curves_widget(RUNS, (1e-3, 8, 3))
    rate, batch, epochs = box.children[:3]
    assert [label for label, _ in rate.options] == ["0.0001", "0.001"]
    assert [value for _, value in batch.options] == [8, 16] and [value for _, value in epochs.options] == [3, 9]
    assert all(slider.description and not slider.disabled for slider in (rate, batch, epochs))


def test_a_choice_shows_its_runs_on_the_common_scale() -> None:
    box = training_curves_widget(RUNS, (1e-3, 8, 3))
    rate, batch, _, drawing, words = box.children
    common = 1.25 * 2.5
    assert svg([RUNS[0], RUNS[1]], highest=common) in drawing.value and "2 seeds" in words.value
    rate.value = 1e-4
    assert svg([RUNS[2]], highest=common) in drawing.value and "Learning rate 0.0001" in words.value
    batch.value = 16
    assert 'role="alert"' in words.value and "there is: rate 0.0001, batch 8" in words.value and not drawing.value
    rate.value = 1e-3
    assert svg([RUNS[3]], highest=common) in drawing.value and 'role="status"' in words.value


def test_what_is_not_stored_cannot_be_shown_first() -> None:
    with pytest.raises(ValueError, match="no run with learning rate 0.0001, batches of 16 and 3 epochs is stored"):
        training_curves_widget(RUNS, (1e-4, 16, 3))


def test_without_a_kernel_the_chosen_runs_show(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: shown.append((bundle, options)))
    training_curves_demo(RUNS, (1e-3, 8, 3))
    ((bundle, options),) = shown
    assert options == {"raw": True}
    found = [RUNS[0], RUNS[1]]
    assert picture(found, highest=1.25 * 2.5) in bundle["text/html"] and alt(found) in bundle["text/html"]
    assert "<svg" not in bundle["text/html"] and "<script" not in bundle["text/html"]
    assert bundle["text/plain"] == alt(found)
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]
