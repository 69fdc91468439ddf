"""Several processes, started by `accelerate launch`: the loss curve of one process with the larger batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib.tuning.processes import Processes, processes
from course_lib.tuning.training import TrainingSettings, train

HERE = Path(__file__).resolve().parent
SCRIPT = """
import json, os, sys
sys.path[:0] = [{tests!r}, {root!r}]
import conftest, torch
from course_lib.tuning.freezing import freeze
from course_lib.tuning.heads import new_classifier
from course_lib.tuning.training import TrainingSettings, train

torch.set_num_threads(1)
examples = json.loads(open({data!r}).read())
result = {{}}
for name, lowest in (("all layers", 0), ("frozen and cached", 2)):
    seed = 5 + int(os.environ["RANK"])  # the head of the first process counts
    encoder, tokenizer = conftest.tiny_encoder(), conftest.tiny_tokenizer()
    model = freeze(new_classifier(tokenizer, encoder, conftest.LABELS, max_tokens=16, seed=seed), lowest)
    settings = TrainingSettings(learning_rate=0.01, epochs=2, batch_size=4)
    run = train(model, examples, settings, validation=examples[:5], folder=os.path.join({out!r}, name))
    total = float(sum(value.detach().double().abs().sum() for value in model.parameters()))
    result[name] = dict(losses=run.losses, validation=[each.loss for each in run.validation], total=total)
with open(os.path.join({out!r}, os.environ["RANK"] + ".json"), "w") as file:
    json.dump(result, file)
torch.distributed.destroy_process_group()
"""


def test_rows_are_shared_out() -> None:
    shares = [Processes(3, rank).share(range(8)) for rank in range(3)]
    assert shares == [[0, 3, 6], [1, 4, 7], [2, 5]]
    assert Processes(2, 1).share([4]) == []


def test_one_process_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    team = processes()
    assert (team.n, team.rank, team.first, team.total(2.5)) == (1, 0, True, 2.5)
    value = torch.nn.Parameter(torch.ones(2))
    team.sum_gradients([value])
    assert value.grad is None


@pytest.mark.slow
def test_two_processes_follow_the_doubled_batch(make_tiny, examples, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from course_lib.tuning.freezing import freeze

    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("this torch was built without gloo, through which processes on CPUs talk")
    data = examples[:25]  # 25 = 3 * 8 + 1: in the last batch, one process has nothing to read
    (tmp_path / "data.json").write_text(json.dumps(data))
    script = tmp_path / "script.py"
    names = {
        "tests": str(HERE),
        "root": str(HERE.parents[1]),
        "data": str(tmp_path / "data.json"),
        "out": str(tmp_path),
    }
    script.write_text(SCRIPT.format(**names))
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run([*command, str(script)], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    for name, lowest in (("all layers", 0), ("frozen and cached", 2)):
        results = [json.loads((tmp_path / f"{rank}.json").read_text())[name] for rank in range(2)]
        assert results[0] == results[1]  # the same losses and the same weights in both
        alone = freeze(make_tiny(), lowest)
        settings = TrainingSettings(learning_rate=0.01, epochs=2, batch_size=8)
        expected = train(alone, data, settings, validation=data[:5])
        assert len(expected.losses) == 8
        np.testing.assert_allclose(results[0]["losses"], expected.losses, rtol=1e-4)
        np.testing.assert_allclose(results[0]["validation"], [each.loss for each in expected.validation], rtol=1e-4)
        total = float(sum(value.detach().double().abs().sum() for value in alone.parameters()))
        assert results[0]["total"] == pytest.approx(total, rel=1e-5)
