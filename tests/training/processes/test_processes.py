"""torchrun: several processes are one run, with the curve, the figures and the files of one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.places import TESTS

import cnncalc

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from support import by_tier, joint_runs  # noqa: E402
from support.processes import search_path  # noqa: E402

from cnncalc.cli import main  # noqa: E402
from cnncalc.training.processes.processes import Processes, in_environment  # noqa: E402
from cnncalc.training.processes.shared_batch_norm import SyncBatchNorm  # noqa: E402
from cnncalc.training.processes.shares import Share  # noqa: E402
from cnncalc.training.run.checkpoints import read_checkpoint  # noqa: E402

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": search_path(TESTS),
}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
GIVEN = {
    "TORCHELASTIC_RUN_ID": "job",
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "TORCHELASTIC_RESTART_COUNT": "2",
}


pytestmark = pytest.mark.training


# --- one process by itself ------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
@pytest.mark.parametrize("whole", [1, 2, 5, 8, 65])
@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_shares_are_a_batch_cut_up(processes: int, whole: int, parts: int) -> None:
    batch = torch.arange(whole)
    shares = [Share(rank, processes, whole, parts) for rank in range(processes)]
    for number, part in enumerate(batch.chunk(parts)):
        pieces = [batch[share.slices[number]] for share in shares]
        assert torch.equal(torch.cat(pieces), part)
        assert max(map(len, pieces)) - min(map(len, pieces)) <= 1
    assert sorted(torch.cat([share.of(batch) for share in shares]).tolist()) == batch.tolist()
    assert [sum(share.sizes) for share in shares] == [len(share.of(batch)) for share in shares]


def test_torchrun_is_known_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert in_environment() == Processes()
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    found = in_environment()
    assert (found.rank, found.count, found.local_rank, found.local_count) == (5, 8, 1, 4)
    assert (found.restarts, found.launch, found.is_first) == (2, "job", False)


def test_each_process_has_its_own_device(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    two = Processes(rank=3, count=4, local_rank=1, local_count=2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert [two.device(name) for name in ("auto", "cpu", "cuda")] == ["cpu", "cpu", "cuda"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [two.device(name) for name in ("auto", "cuda", "cpu")] == ["cuda:1", "cuda:1", "cpu"]
    assert chosen == [1, 1]
    with pytest.raises(cnncalc.UsageError, match="--device cuda:1 is one device, and there are 4"):
        two.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(cnncalc.UsageError, match="start torchrun with --nproc-per-node=1"):
        two.device("auto")


@pytest.mark.parametrize(("local_rank", "said"), [("0", True), ("1", False)])
def test_what_all_find_wrong_is_said_once(
    local_rank: str,
    said: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in (GIVEN | {"LOCAL_RANK": local_rank}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["cnncalc", "train", "no.such.yaml"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert bool(capsys.readouterr().err) == said


def test_a_process_without_a_sample_speaks_as_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch sends the statistics of samples as float32, whatever type they are of."""
    seen: list[Any] = []
    monkeypatch.setattr(torch.nn.SyncBatchNorm, "forward", lambda _, x: seen.append(x.dtype) or x)
    norm = SyncBatchNorm(3)
    for count in (2, 0):
        x = torch.ones(count, 3, 2, 2, dtype=torch.bfloat16)
        assert norm(x).dtype == torch.bfloat16
    assert seen == [torch.bfloat16, torch.float32]


# --- two processes --------------------------------------------------------------------------------


def weights(run: Path) -> dict[str, Any]:
    state = read_checkpoint(run / "checkpoints" / "last.pt")["model"]
    return dict(state)


def rows(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if v is not None and "second" not in k} for row in lines]


def assert_equal_runs(one: Path, other: Path) -> None:
    """To the last bit."""
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert rows(one) == rows(other)


@pytest.fixture(scope="module", params=by_tier(["forked", "torchrun"], "forked"))
def joint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `joint_runs`, run by two processes; torchrun's runs are the long ones."""
    folder = tmp_path_factory.mktemp(f"joint-{request.param}")
    start = TORCHRUN if request.param == "torchrun" else [sys.executable]
    quick = not request.config.getoption("-m").startswith("exhaustive")
    names = joint_runs.QUICK if quick else joint_runs.RUNS
    command = [*start, str(TESTS / "support" / "joint_runs.py"), str(folder), *names]
    done = subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return folder


def is_long(joint: Path) -> bool:
    return "torchrun" in joint.name


def saw(joint: Path, rank: int) -> Any:
    return json.loads((joint / f"{rank}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "name", by_tier(["rich", "parts", "stream", "drops", "drops in parts"], *joint_runs.QUICK)
)
def test_the_curve_does_not_depend_on_the_number_of_processes(
    name: str, joint: Path, tmp_path: Path
) -> None:
    """Weights, figures, and how many samples each evaluation counted."""
    counts = joint_runs.evaluated(name, tmp_path / name, long=is_long(joint))
    assert saw(joint, 0)["evaluated"][name] == saw(joint, 1)["evaluated"][name] == counts
    assert all(samples == in_confusion for samples, in_confusion in counts)
    one, two = weights(tmp_path / name), weights(joint / name)
    assert one.keys() == two.keys()
    for key in one:
        torch.testing.assert_close(two[key], one[key], rtol=0, atol=1e-5)
    for ours, theirs in zip(rows(tmp_path / name), rows(joint / name), strict=True):
        assert theirs == pytest.approx(ours, rel=1e-5)


@pytest.mark.exhaustive
def test_in_bfloat16_it_does_not_but_for_its_rounding(joint: Path, tmp_path: Path) -> None:
    """Within what docs/training.md promises; every sample is counted once all the same."""
    counts = joint_runs.evaluated("rounded", tmp_path / "run", long=is_long(joint))
    assert saw(joint, 0)["evaluated"]["rounded"] == saw(joint, 1)["evaluated"]["rounded"] == counts
    one, two = weights(tmp_path / "run"), weights(joint / "rounded")
    for key in one:
        torch.testing.assert_close(two[key], one[key], rtol=0, atol=0.03 * one[key].abs().max())
    for ours, theirs in zip(rows(tmp_path / "run"), rows(joint / "rounded"), strict=True):
        for name, value in ours.items():
            tolerance = {"abs": 0.02} if name.endswith("accuracy") else {"rel": 0.01}
            assert theirs[name] == pytest.approx(value, **tolerance), name


@pytest.mark.exhaustive
def test_without_shared_statistics_the_model_still_is_one(joint: Path) -> None:
    assert rows(joint / "apart")[-1]["step"] == joint_runs.RUNS["apart"]["steps"]
    assert all(value.isfinite().all() for value in weights(joint / "apart").values())


def test_a_signal_to_one_saves_all_and_resuming_changes_nothing(joint: Path) -> None:
    assert saw(joint, 0)["interrupted"] == saw(joint, 1)["interrupted"]
    cut, number, finished, plain_batch_norm = saw(joint, 0)["interrupted"]
    assert (cut, number, finished) == (False, signal.SIGTERM, True)
    assert plain_batch_norm
    assert_equal_runs(joint / "whole", joint / "cut")


def test_an_error_of_one_is_raised_in_all_and_said_by_one(joint: Path) -> None:
    one, other = saw(joint, 0), saw(joint, 1)
    for name, start in {
        "wrong in one": "1: data: train[0]: an item is (image, label)",
        "taken": f"0: {joint / 'rich'}: a run is there already",
        "not finite": "0: the loss is not finite at step 2 (epoch 1)",
    }.items():
        assert one[name] == other[name]
        assert one[name].startswith(start)


def process_of(agent: int, rank: int) -> int:
    """The process that a torchrun started with that rank."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(") ")[2].split()[1])
            environment = (place / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == agent and b"RANK=%d" % rank in environment:
            return int(place.name)
    raise LookupError(f"there is no process {rank}")


@pytest.mark.exhaustive
@pytest.mark.many_steps
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
def test_a_restart_resumes_by_itself(tmp_path: Path) -> None:
    """One of two is killed; torchrun starts both again, and the run ends as if nothing had been."""
    (tmp_path / "drops.json").write_text(json.dumps(joint_runs.DROPOUT), encoding="utf-8")
    command = [*TORCHRUN, "--max-restarts=1", "-m", "cnncalc", "train", "drops.json"]
    command += ["--steps", "100", "--batch-size", "64", "--device", "cpu"]
    whole = tmp_path / "whole"
    subprocess.run(
        [*command, "-o", str(whole)], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=True
    )
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until = time.monotonic() + 600
        while not [*tmp_path.glob("runs/*/checkpoints/last.pt")]:
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process_of(process.pid, 1), signal.SIGKILL)
        output, errors = process.communicate(timeout=600)
    finally:
        if process.poll() is None:
            process.terminate()  # and with it its processes
            process.wait(300)
    assert process.returncode == 0, errors
    (run,) = (tmp_path / "runs").iterdir()
    assert output == f"{run.relative_to(tmp_path)}\n"
    assert errors.count("2 (gloo), each with 32 images of a step") == 2
    assert f"run        {run.relative_to(tmp_path)}, from step " in errors
    assert "Traceback" not in errors
    assert_equal_runs(whole, run)
