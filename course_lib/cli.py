"""The commands of the course: `python course.py COMMAND`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

import course_lib

app = typer.Typer(
    name="course",
    help="RAG and fine-tuning, measured. Start with: python course.py lab",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="The collection: counts, checks and the report.", no_args_is_help=True)
app.add_typer(data_app, name="data")
train_app = typer.Typer(help="Train what the course ships: each run can be stopped and resumed.", no_args_is_help=True)
app.add_typer(train_app, name="train")
scoreboard_app = typer.Typer(help="Every system on the same questions: quality beside its price.", no_args_is_help=True)
app.add_typer(scoreboard_app, name="scoreboard")

ROOT = Path(course_lib.__file__).resolve().parents[1]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def say(words: str) -> None:
    """Print for people, on stderr, so that stdout stays clean for programs."""
    typer.echo(words, err=True)


@app.command()
def lab(
    port: Annotated[int, typer.Option(help="Port of the server.", min=1, max=65535)] = 8888,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    ip: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Open JupyterLab on the course."""
    from course_lib.classroom.workspace import lay_out_exercises

    prepare()
    for words in lay_out_exercises(ROOT / "exercises", ROOT / "my_work"):
        say(words)
    no_announcements()
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={ROOT}", f"--port={port}", f"--ip={ip}"]
    command += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command += ["--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"]
    command += [] if browser else ["--no-browser"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command += ["--allow-root"]  # in a container; elsewhere the server would refuse to start as root
    raise typer.Exit(subprocess.run(command, env=os.environ | {"TQDM_MININTERVAL": "0.5"}).returncode)


def no_announcements() -> None:
    """Turn off JupyterLab's news pop-up in this environment: it asks to reach the network."""
    path = Path(sys.prefix) / "etc" / "jupyter" / "labconfig" / "page_config.json"
    extension = "@jupyterlab/apputils-extension:announcements"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = {}
    if not config.get("disabledExtensions", {}).get(extension):
        config.setdefault("disabledExtensions", {})[extension] = True
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(config, indent=1), encoding="utf-8")


@app.command()
def prepare() -> None:
    """Fetch and verify the models and build the caches; what is there already is left alone."""
    from course_lib.assets import models, store
    from course_lib.systems.reading_room import reading_room

    assets = store.manifest()
    if not os.environ.get("COURSE_ENCODER"):
        store.fetch(assets["encoder"], say=say)
    if not os.environ.get("COURSE_GENERATOR"):
        models.converted_generator(say=say)
    reading_room(progress=True, say=say)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help='A question in quotes: "Who won the most recent men\'s World Cup?"')],
    closed_book: Annotated[
        bool, typer.Option("--closed-book", help="The language model alone, without documents.")
    ] = False,
    k: Annotated[int, typer.Option(help="How many passages to show the model.", min=1, max=10)] = 1,
    shelf: Annotated[str | None, typer.Option(help="Search one shelf only, such as energy.")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Every step: what it found or made, and its seconds.")] = False,
    as_json: Json = False,
) -> None:
    """Answer a question from the documents of the reading room, and say from which words."""
    from course_lib.corpus.load import SHELVES
    from course_lib.systems.glass_search import require_question

    question = require_question(question)  # before the models are loaded
    if shelf not in (None, *SHELVES):
        raise ValueError(f"--shelf must be one of {', '.join(SHELVES)}, got {shelf!r}")
    if closed_book and (shelf or trace or k > 1):
        raise ValueError("--closed-book must come without --shelf, --trace and --k: no document is searched")
    if closed_book:
        from course_lib.generation.language_model import load_language_model
        from course_lib.systems.rag import ClosedBook, answer_as_json

        answer = ClosedBook(load_language_model())(question)
        report, words = answer_as_json(answer), f"{answer.text}\n\n(closed book: no document was consulted)"
    else:
        from course_lib.systems.glass_text import answer_text, trace_as_json, trace_text
        from course_lib.systems.reading_room import reading_room_glass

        glass = reading_room_glass(k=k, progress=not as_json, say=say)
        made = glass.without("closed_book").having(shelf=shelf)(question)
        report, words = trace_as_json(made, steps=trace), f"{trace_text(made)}\n\n" * trace + answer_text(made)
    typer.echo(json.dumps(report, ensure_ascii=False, indent=2) if as_json else words)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is wrong with this installation and how to mend it. Exit status 1 if a lesson would fail."""
    from course_lib.classroom.doctor import diagnose
    from course_lib.workshop.examine import findings

    raise typer.Exit(diagnose(findings(ROOT), as_json=as_json))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run every test: style, types, built files, library, notebooks, graders, front end."""
    from course_lib.workshop.testing import run_all

    prepare()
    raise typer.Exit(run_all(ROOT, context.args))


@app.command()
def build(
    lessons: Annotated[list[str] | None, typer.Argument(help="Numbers of lessons, such as 01; all by default.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a built file differs from its source.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Execute notebooks even if nothing changed.")] = False,
) -> None:
    """Make notebooks, solutions and exercises from lessons/."""
    from course_lib.workshop.build import build_all, check_all

    if check:
        problems = check_all(ROOT, lessons or [])
        for problem in problems:
            typer.echo(problem)
        raise typer.Exit(1 if problems else 0)
    prepare()
    build_all(ROOT, lessons or [], force=force, say=say)


@app.command()
def grade(
    lesson: Annotated[str, typer.Argument(help="Number of the lesson, such as 01.")],
    path: Annotated[Path, typer.Argument(help="A notebook, or a folder of NAME.ipynb or NAME/.", exists=True)],
    out: Annotated[Path | None, typer.Option(help="Where grades go; of a folder, grading/LESSON by default.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the graded numbers; by default a secret one.")] = None,
    no_sandbox: Annotated[bool, typer.Option("--no-sandbox", help="Hostile code is then not contained.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Grade unchanged files again, too.")] = False,
    as_json: Json = False,
) -> None:
    """Grade hand-ins: points, a table for spreadsheets, and a page of feedback for each learner."""
    import secrets

    from course_lib.classroom.grading.folder import grade_folder, write_grades
    from course_lib.classroom.grading.grade import grade_submission
    from course_lib.classroom.grading.report import Row
    from course_lib.classroom.grading.sandbox import NOT_CONTAINED, SandboxError

    name, tasks = _exercise(lesson)
    if no_sandbox:
        say(NOT_CONTAINED)
    try:
        if path.is_dir():
            out = out or ROOT / "grading" / name
            rows = grade_folder(
                path, tasks, lesson=name, out=out, seed=seed, sandbox=not no_sandbox, force=force, progress=not as_json
            )
        else:
            seed = secrets.randbelow(2**31) if seed is None else seed
            graded = grade_submission(path, tasks, lesson=name, seed=seed, sandbox=not no_sandbox)
            rows = [Row.of(graded, tasks, learner=path.stem, file=path.name)]
            if out:
                write_grades(rows, tasks, out, lesson=name, seed=seed, sandbox=not no_sandbox)
    except (SandboxError, FileNotFoundError) as error:
        say(str(error))
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=2))
    else:
        for row in rows:
            why = "" if row.state == "graded" else f" ({row.state}) {row.message}"
            typer.echo(f"{row.learner}: {row.points:g} of {row.out_of:g}{why}")
            for task in row.tasks if path.is_file() and row.state == "graded" else ():
                typer.echo(f"  {task.task}: {task.status}, {task.points:g} of {task.out_of:g} {task.message}")
        if out:
            say(f"Written to {out}: grades.csv, grades.json, feedback/")
    raise typer.Exit(1 if any(row.state == "ungraded" for row in rows) else 0)


def _exercise(number: str) -> tuple[str, Any]:
    """Return name and tasks of the exercise with this number. Raises ValueError if there is none."""
    import importlib

    known = sorted(path.stem for path in (ROOT / "exercises").glob("[0-9][0-9]_*.ipynb"))
    name = next((name for name in known if number in (name, name[:2])), None)
    if name is None:
        raise ValueError(f"lesson must be one of {', '.join(known) or '(run course build first)'}, got {number!r}")
    return name, importlib.import_module(f"course_lib.checks.{name[3:]}").TASKS


@data_app.command("report")
def data_report(
    out: Annotated[
        Path | None, typer.Option(help="The page, docs/data-report.md by default; figures beside it.")
    ] = None,
) -> None:
    """Measure the collection, the questions and the tuning data, and write a page of figures."""
    from course_lib.workshop.data_report import write_report

    prepare()
    write_report(out or ROOT / "docs" / "data-report.md", say=say)


@app.command()
def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Which to run; without a name, they are listed.")] = None,
    pages: Annotated[
        bool, typer.Option("--pages", help="Run nothing; write the pages anew from stored results.")
    ] = False,
) -> None:
    """Measure speed, memory and quality beside the libraries a user would pick instead."""
    from course_lib.workshop import bench as benchmarks

    if pages:
        typer.echo("\n".join(benchmarks.write_pages(ROOT)))
    elif not names:
        typer.echo("\n".join(benchmarks.names(ROOT)))
    else:
        prepare()
        for name in names:
            try:
                say(f"{name}: {benchmarks.run(ROOT, name, say=say).name} written")
            except benchmarks.BenchmarkSkipped as reason:
                say(f"{name}: skipped. {reason}")


@train_app.command("reranker")
def train_reranker(
    out: Annotated[
        Path | None, typer.Option(help="Folder of adapter, head and card; the course's own by default.")
    ] = None,
    sentences: Annotated[
        bool,
        typer.Option(
            "--sentences", help="Learn from sentences of collection and library pages, too: measured, and worse."
        ),
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Few examples: to see that it runs, not to be good.")] = False,
) -> None:
    """Train the cross-encoder on the collection's train questions (resumable)."""
    from course_lib.retrieval.cross_encoder import RERANKER
    from course_lib.systems.learned_reranker import train_and_save

    prepare()
    train_and_save(out or RERANKER, sentences=sentences, quick=quick, say=say)


def _train_generator(name: str, what: str) -> None:
    def command(
        out: Annotated[
            Path | None, typer.Option(help="Folder of adapter and card; the course's own by default.")
        ] = None,
        quick: Annotated[
            bool, typer.Option("--quick", help="Few examples, into the cache: to see that it runs, not to be good.")
        ] = False,
    ) -> None:
        from course_lib.systems.tuned_training import train_and_save

        prepare()
        train_and_save(name, out, quick=quick, say=say)

    train_app.command(name, help=f"Tune the language model: {what} (resumable).")(command)


for _name, _what in (
    ("style", "the help desk's voice"),
    ("plain-words", "texts for clinicians in plain words"),
    ("facts", "facts without passages, to see that they do not stick"),
    ("raft", "short answers with citations from passages that may not answer"),
    ("raft-world-cup", "as raft, from one shelf alone"),
    ("raft-neurology", "as raft, from one shelf alone"),
    ("raft-energy", "as raft, from one shelf alone"),
    ("raft-help-desk", "as raft, from one shelf alone"),
):
    _train_generator(_name, _what)


@scoreboard_app.command("run")
def scoreboard_run(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which systems, such as bm25; all but slow ones by default.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few questions: to see that it runs.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what is there already.")] = False,
    ship: Annotated[
        bool, typer.Option("--ship", help="For maintainers: into the course's own file and pages, not into yours.")
    ] = False,
) -> None:
    """Measure systems, one process each; a run that was stopped goes on where it was."""
    from course_lib.systems.scoreboard import SHIPPED, learner_file
    from course_lib.workshop import scoreboard_pages, scoreboard_run

    if ship and quick:
        raise ValueError("--ship must come without --quick: the course's own figures are of all test questions")
    path = SHIPPED if ship else learner_file()
    try:
        scoreboard_run.run(names or [], path, root=ROOT, say=say, quick=quick, fresh=fresh)
    except scoreboard_run.ScoreboardError as error:
        say(str(error))
        raise typer.Exit(1) from error
    finally:
        if ship:
            scoreboard_pages.write_pages(ROOT)
    say(f"Written to {path}. See them all: python course.py scoreboard show")


@scoreboard_app.command("show")
def scoreboard_show(as_json: Json = False) -> None:
    """Print the course's rows and your own, which are marked."""
    from course_lib.evaluation.scoreboard import row_as_json
    from course_lib.systems.scoreboard import scoreboard

    board = scoreboard()
    if as_json:
        rows = [{"whose": row.whose, **row_as_json(row)} for row in board.rows]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        typer.echo(f"{board.caption}\n\n{board}")


@scoreboard_app.command("pages")
def scoreboard_pages(
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing; fail if a page differs from the stored rows, or a row from the data."
        ),
    ] = False,
) -> None:
    """Write the README's table, docs/scoreboard.md and its picture anew from the stored rows."""
    from course_lib.evaluation.scoreboard import read_rows
    from course_lib.workshop import scoreboard_pages as pages
    from course_lib.workshop.scoreboard_run import stale_rows

    lines = [*pages.stale_pages(ROOT), *stale_rows(read_rows(ROOT / pages.ROWS))] if check else pages.write_pages(ROOT)
    for line in lines:
        typer.echo(line)
    raise typer.Exit(1 if check and lines else 0)


@app.command()
def lock() -> None:
    """Resolve the dependencies anew into requirements.lock, environment.yml and binder/."""
    from course_lib.workshop.lock import write_lock

    write_lock(ROOT)


def main() -> Any:
    """Run a command; turn the course's own errors into one message without a traceback."""
    from course_lib.assets.store import AssetError

    os.environ.setdefault("PYTHONUTF8", "1")
    try:
        return app()
    except AssetError as error:
        say(str(error))
        sys.exit(1)
    except RuntimeError as error:
        if type(error).__name__ not in ("BuildError", "GradingError", "SandboxError"):
            raise
        say(str(error))
        sys.exit(1)
    except ValueError as error:
        if os.environ.get("COURSE_DEBUG"):
            raise
        say(f"{error}\n(set COURSE_DEBUG=1 to see where)")
        sys.exit(2)


if __name__ == "__main__":
    main()
