# SPDX-License-Identifier: Apache-2.0
"""A run that is broken off anywhere and resumed ends as one that was never broken."""

import itertools
import json
import os
import shlex
import shutil
import signal
import time

import pytest
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from safetensors.torch import load_file

from yolact_ros.checkpoints import read_metadata
from yolact_ros.cli.main import main
from yolact_ros.errors import InputError
from yolact_ros.training import trainer
from yolact_ros.training.module import TrainingModule
from yolact_ros.training.plots import read_log
from yolact_ros.training.validation import Validator
from yolact_testing import forked

STEPS = 20
OPTIONS = (
    *("--max-steps", str(STEPS), "--batch-size", "2", "--seed", "4", "--workers", "0"),
    *("--checkpoint-every", "2", "--validate-every", "10"),
)


@pytest.fixture(scope="module")
def unbroken(arguments, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "unbroken"
    assert main(["train", *arguments(out, *OPTIONS)]) == 0
    return out


@pytest.fixture
def resume(arguments, capfd):
    """Resumes a run to nothing or to an error, and returns what was printed."""

    def run(out, *more, status=1):
        assert main(["train", *arguments(out, *OPTIONS, "--resume", *more)]) == status
        printed = capfd.readouterr()
        assert "Traceback" not in printed.err
        return printed.err if status else printed.out

    return run


def require_equal(out, unbroken, *, killed_after=None):
    """Weights, losses and figures are the same bits.

    Lightning writes a step's losses to the log when its checkpoint is there already: a kill in
    between loses these, and nothing else.
    """
    for name in ("last.safetensors", "best.safetensors"):
        expected, got = load_file(unbroken / name), load_file(out / name)
        assert expected.keys() == got.keys()
        different = [key for key in expected if not torch.equal(expected[key], got[key])]
        assert not different, name
    expected, got = read_log(unbroken / "log"), read_log(out / "log")
    if killed_after is not None:
        got["loss"].setdefault(killed_after - 1, expected["loss"][killed_after - 1])
    assert got["loss"] == expected["loss"]
    assert got["mask_ap"] == expected["mask_ap"]
    assert len(expected["loss"]) == STEPS
    assert len(expected["mask_ap"]) == 2


def step_of(checkpoint):
    return torch.load(checkpoint, weights_only=True)["global_step"]


STOPS = (
    # what gets a signal in its n-th call, and what is said
    (signal.SIGINT, trainer, "read_recorded", 1, "before the first step; nothing was begun"),
    (signal.SIGTERM, TrainingModule, "configure_optimizers", 1, "before the first step; to go on"),
    (signal.SIGINT, TrainingModule, "training_step", 3, f"after step 3 of {STEPS}; to go on"),
    # the step before a validation, which is broken off before it has begun ...
    (signal.SIGTERM, TrainingModule, "training_step", 7, f"after step 10 of {STEPS}; to go on"),
    # ... and again when it is repeated, after which there is one checkpoint for both
    (signal.SIGHUP, Validator, "segment", 2, "before the first step; to go on"),
    (signal.SIGTERM, TrainingModule, "training_step", 4, f"after step 14 of {STEPS}; to go on"),
    (signal.SIGINT, Validator, "segment", 2, f"after step {STEPS} of {STEPS}; to go on"),
)


def test_stopped_by_signals_and_resumed_it_ends_with_the_same_weights(
    unbroken, arguments, tmp_path, monkeypatch, capfd
):
    out = tmp_path / "run"
    words = ["train", *arguments(out, *OPTIONS)]
    for number, owner, name, call, said in STOPS:
        calls = itertools.count(1)
        original = getattr(owner, name)

        def method(*values, original=original, number=number, calls=calls, call=call, **named):
            if next(calls) == call:
                os.kill(os.getpid(), number)
            return original(*values, **named)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, method)
            assert main(words) == 128 + number
        told = capfd.readouterr().err
        assert f"yolact-ros: stopped by {number.name} {said}" in told
        assert "Traceback" not in told
        if out.exists():
            words = shlex.split(told.partition("; to go on: yolact-ros ")[2])
            assert words[-1] == "--resume" and words.count("--resume") == 1
    assert main(words) == 0
    require_equal(out, unbroken)
    starts = json.loads((out / "run.json").read_text())["starts"]
    assert [start["first_step"] for start in starts] == [0, 0, 3, 10, 10, 14, 19]


def wait_for_a_checkpoint(process, out, printed):
    checkpoint = out / "last.ckpt"
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    deadline = time.monotonic() + 120
    while not (checkpoint.exists() and checkpoint.stat().st_mtime_ns > before):
        assert process.exitcode is None, printed.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_with_workers_ctrl_c_and_a_kill_lose_nothing(unbroken, arguments, tmp_path):
    out, printed = tmp_path / "run", tmp_path / "printed"
    words = ["train", *arguments(out, *OPTIONS, "--workers", "1")]
    process = forked.start(words, printed)
    wait_for_a_checkpoint(process, out, printed)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it, to the worker too
    process.join(120)
    assert process.exitcode == 128 + signal.SIGINT
    told = printed.read_text()
    first = step_of(out / "last.ckpt")
    assert f"stopped by SIGINT after step {first} of {STEPS}; to go on: " in told
    assert "Traceback" not in told
    process = forked.start([*words, "--workers", "0", "--resume"], printed)
    wait_for_a_checkpoint(process, out, printed)
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    second = step_of(out / "last.ckpt")
    assert 0 < first < second < STEPS, "they came in the middle"
    assert main([*words, "--workers", "0", "--resume"]) == 0
    require_equal(out, unbroken, killed_after=second)


def test_copies_at_any_moment_resume(unbroken, arguments, tmp_path, request):
    """What a power cut leaves: the folder as it is while the run stands still."""
    out, printed = tmp_path / "run", tmp_path / "printed"
    words = ["--checkpoint-every", "1"]
    copies = request.config.getoption("--power-cuts")
    generator = torch.Generator().manual_seed(copies)
    pauses = torch.rand(copies, generator=generator).tolist()
    process = forked.start(["train", *arguments(out, *OPTIONS, *words)], printed)
    for number, pause in enumerate(pauses):
        while not (out / "run.json").exists():
            assert process.exitcode is None, printed.read_text()
            time.sleep(0.01)
        time.sleep(pause * 4 / copies)
        os.kill(process.pid, signal.SIGSTOP)
        shutil.copytree(out, tmp_path / f"copy_{number}")
        os.kill(process.pid, signal.SIGCONT)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    for number in range(copies):
        copy = tmp_path / f"copy_{number}"
        last = copy / "last.ckpt"
        killed_after = step_of(last) if last.exists() else None
        assert main(["train", *arguments(copy, *OPTIONS, *words, "--resume")]) == 0
        require_equal(copy, unbroken, killed_after=killed_after)


def test_a_log_that_was_cut_off_is_read_up_to_there(tmp_path):
    file = tmp_path / "from_step_0" / "metrics.csv"
    file.parent.mkdir()
    for text, expected in (("", {}), ("epoch,loss,step\n0,4.5,0\n0,4.2", {"loss": {0: 4.5}})):
        file.write_text(text)
        assert read_log(tmp_path) == expected


def test_a_finished_run_is_resumed_to_nothing(unbroken, resume, monkeypatch):
    def no_measurement():
        raise AssertionError("what a run computes in was chosen when it was begun")

    monkeypatch.setattr("yolact_ros.training.options.time_convolution", no_measurement)
    before = (unbroken / "run.json").read_bytes(), load_file(unbroken / "last.safetensors")
    printed = resume(unbroken, "--precision", "auto", status=0)
    assert "is finished" in printed and f"of {STEPS}: mask AP" in printed
    assert str(unbroken / "best.safetensors") in printed
    after = load_file(unbroken / "last.safetensors")
    assert all(torch.equal(before[1][key], after[key]) for key in after)
    assert (unbroken / "run.json").read_bytes() == before[0]


def test_a_run_is_not_overwritten(unbroken, arguments, capfd):
    assert main(["train", *arguments(unbroken, *OPTIONS)]) == 1
    assert "out: expected a new folder, got the run in" in capfd.readouterr().err


def test_what_may_not_change_is_refused_with_both_values(unbroken, resume):
    told = resume(
        *(unbroken, "--seed", "5", "--batch-size", "4", "--learning-rate", "0.1"),
        *("--input-size", "80", "--augment", "mirror=off"),
    )
    assert "resume: expected the settings of the run, got others: " in told
    for words in (
        "seed was 4 and is 5",
        "joined_batch was 2 and is 4",
        "input_size was 96 and is 80",
        "mirror was 0.5 and is 0.0",
    ):
        assert words in told
    for word in ("learning_rate", "preset_definition", "rotation"):
        assert word not in told


@pytest.fixture
def stopped(unbroken, tmp_path):
    """A run as it was a step before its end: with both checkpoints, and no last weights."""
    out = tmp_path / "stopped"
    shutil.copytree(unbroken, out)
    (out / "last.safetensors").unlink()
    return out


def test_a_broken_or_missing_checkpoint_is_named_and_the_one_before_offered(stopped, resume):
    last, previous = stopped / "last.ckpt", stopped / "previous.ckpt"
    assert (step_of(last), step_of(previous)) == (STEPS - 1, STEPS - 2)
    content = last.read_bytes()
    for size in (100_000, 0):
        last.write_bytes(content[:size])
        told = resume(stopped)
        assert f"resume: {last} is cut off, damaged or another program's; the one" in told
        assert f"the one before it, of step {STEPS - 2}, is whole, and the run goes on from" in told
    last.unlink()
    told = resume(stopped)
    assert f"resume: {last} is missing; the one before it, of step {STEPS - 2}" in told
    offered = shlex.split(told.strip().partition(" with: yolact-ros ")[2])
    assert offered[-2:] == ["--resume", "previous"]
    previous.write_bytes(content[:100_000])
    assert "last.ckpt is missing: no run can go on from it; a new run" in resume(stopped)
    assert f"resume: {previous} is cut off, damaged" in resume(stopped, "--resume", "previous")
    previous.write_bytes(content)
    assert main(offered) == 0
    assert (stopped / "last.safetensors").is_file() and not previous.exists()


@pytest.mark.parametrize(
    "content", ["", "[]", "null", "{}", '{"settings": 3, "starts": []}', '{"a']
)
def test_a_description_that_is_none_is_named(content, stopped, resume):
    (stopped / "run.json").write_text(content)
    told = resume(stopped)
    assert f"resume: {stopped / 'run.json'} is missing, cut off, damaged or another prog" in told


def test_settings_that_are_not_there_are_named(stopped, resume):
    (stopped / "run.json").write_text('{"settings": {}, "starts": []}')
    told = resume(stopped)
    assert "resume: expected the settings of the run, got others: " in told
    assert "seed was None and is 4" in told and "a bug" not in told


@pytest.mark.parametrize("left_out", ["state_dict", "optimizer_states", "loops", "global_step"])
def test_a_checkpoint_of_another_program_is_named(left_out, stopped, resume):
    content = torch.load(stopped / "last.ckpt", weights_only=True)
    del content[left_out]
    torch.save(content, stopped / "last.ckpt")
    assert "last.ckpt is cut off, damaged or another program's; the one bef" in resume(stopped)
    torch.save([content], stopped / "last.ckpt")
    assert "last.ckpt is cut off, damaged or another program's; the one bef" in resume(stopped)


def test_a_checkpoint_of_another_network_is_told(stopped, resume):
    content = torch.load(stopped / "last.ckpt", weights_only=True)
    content["state_dict"].popitem()
    torch.save(content, stopped / "last.ckpt")
    told = resume(stopped)
    assert "resume: expected a checkpoint of this run's network, got another's" in told
    assert "a bug" not in told


def lose(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [lose, empty])
@pytest.mark.parametrize("names", [("best",), ("last",), ("best", "last")])
def test_weights_that_are_gone_are_made_again(harm, names, unbroken, resume, tmp_path):
    """Of a finished run; somebody moved the best weights to where they are used."""
    out = tmp_path / "run"
    shutil.copytree(unbroken, out)
    for name in names:
        harm(out / f"{name}.safetensors")
    printed = resume(out, status=0)
    assert f"resumed from step {STEPS - 1}\n" in printed
    assert ("best.safetensors is missing or damaged" in printed) is ("best" in names)
    last = load_file(out / "last.safetensors")
    assert all(torch.equal(v, last[k]) for k, v in load_file(unbroken / "last.safetensors").items())
    best = read_metadata(out / "best.safetensors")
    expected = (
        str(STEPS) if "best" in names else read_metadata(unbroken / "best.safetensors")["step"]
    )
    assert best["step"] == expected and f"best at step {expected} of {STEPS}" in printed


def test_a_finished_run_without_any_checkpoint_says_what_is_left(unbroken, resume, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(unbroken, out)
    for name in ("best.safetensors", "last.ckpt", "previous.ckpt"):
        (out / name).unlink()
    last = (out / "last.safetensors").read_bytes()
    told = resume(out)
    assert f"is finished, and {out / 'best.safetensors'} is missing or damaged; its last" in told
    assert (out / "last.safetensors").read_bytes() == last


def test_a_full_disk_is_told_with_the_command_that_goes_on(
    stopped, resume, files_end_at, monkeypatch, capfd
):
    last, before = stopped / "last.ckpt", (stopped / "last.ckpt").read_bytes()
    files_end_at(100_000)
    told = resume(stopped, "--max-steps", "23", "--checkpoint-every", "1")
    why = f"File too large for {len(before) / 1e6:.0f} MB; "
    assert f"{last}.incomplete: expected room on the disk, got none ({why}" in told
    assert last.read_bytes() == before and not list(stopped.glob("*.incomplete"))
    offered = shlex.split(told.strip().partition(" go on: yolact-ros ")[2])
    files_end_at(-1)
    with monkeypatch.context() as changes:
        changes.setattr("tempfile.tempdir", str(stopped / "none"))  # no other folder is needed
        assert main(offered) == 0
    assert (step_of(last), "best at step" in capfd.readouterr().out) == (22, True)


def test_there_must_be_a_run_to_resume(tmp_path, resume):
    assert "found no run.json there" in resume(tmp_path / "none")


def test_it_goes_on_longer_with_another_rate_and_other_processes(stopped, arguments, capfd):
    more = ["--max-steps", "22", "--learning-rate", "1e-4", "--validate-every", "11"]
    words = arguments(stopped, *OPTIONS, *more, "--resume", "--checkpoint-minutes", "1e-6")
    assert main(["train", *words]) == 0
    printed = capfd.readouterr().out
    for change in ("learning_rate was 0.001 and is 0.0001", "max_steps was 20 and is 22"):
        assert change in printed
    description = json.loads((stopped / "run.json").read_text())
    assert description["settings"]["max_steps"] == 22
    [_, start] = description["starts"]
    assert start["first_step"] == STEPS - 1
    assert start["changes"] == {
        "learning_rate": [0.001, 0.0001],
        "max_steps": [20, 22],
        "validate_every": [10, 11],
    }
    log = read_log(stopped / "log")
    assert sorted(log["loss"]) == list(range(22))
    # the peak of 1e-4 at batch 8 is 2.5e-5 here, and the cycle of 22 steps is near its end
    assert 0 < log["learning_rate"][21] < log["learning_rate"][20] < 2.5e-5
    assert step_of(stopped / "last.ckpt") == 21
    assert main(["train", *words]) == 0
    assert "is finished" in capfd.readouterr().out
    shutil.rmtree(stopped / "log")
    (stopped / "last.safetensors").unlink()
    assert main(["train", *words, "--max-steps", "21"]) == 1
    assert "max_steps: expected more than the 21 steps that are done" in capfd.readouterr().err


@pytest.fixture
def introduced(arguments, monkeypatch, capfd):
    """Resumes a run up to its first step, and returns what was printed."""

    def no_steps(*_):
        raise InputError("no steps are done")

    def run(out, *more):
        monkeypatch.setattr(trainer, "_fit", no_steps)
        assert main(["train", *arguments(out, *OPTIONS, "--resume", *more)]) == 1
        printed = capfd.readouterr()
        assert "no steps are done" in printed.err
        return printed.out

    return run


def test_a_resumed_run_neither_reads_nor_names_starting_weights(stopped, introduced, monkeypatch):
    def unused(*_):
        raise AssertionError("all weights are in the checkpoint")

    with monkeypatch.context() as changes:
        for name in ("start_backbone", "start_from_weights"):
            changes.setattr(trainer, name, unused)
        assert "all weights begin" not in (said := introduced(stopped))
        assert f"resumed from step {STEPS - 1}\n" in said
        description = json.loads((stopped / "run.json").read_text())
        description["settings"] |= {"weights": "best.safetensors", "freeze_stages": 1}
        (stopped / "run.json").write_text(json.dumps(description))
        weights = ("--weights", str(stopped / "best.safetensors"), "--freeze-stages", "1")
        assert "kept: " not in (said := introduced(stopped, *weights))
        assert "the backbone's first 1 stages frozen" in said
    for name in ("last.ckpt", "previous.ckpt"):
        (stopped / name).unlink()
    best = (stopped / "best.safetensors").read_bytes()
    said = introduced(stopped, *weights)
    assert "kept: " in said and "resumed from step 0: there is no checkpoint\n" in said
    [kept] = stopped.glob("best_of_step_*.safetensors")
    assert f"the best weights so far stay as {kept}\n" in said
    assert kept.read_bytes() == best and kept.stem.endswith(f"_{read_metadata(kept)['step']}")


def test_a_second_machine_goes_on_from_the_checkpoint_that_the_first_chooses(
    stopped, unbroken, arguments, monkeypatch, capfd
):
    """Whether it looks before the first one has moved the checkpoint or after."""
    monkeypatch.setenv("NODE_RANK", "1")
    # Lightning keeps it for the whole process, and later runs in it would log nothing
    monkeypatch.setattr(rank_zero_only, "rank", 0)
    begun = []

    def begin(trainer, module, loaders, checkpoint, best):
        begun.append(checkpoint)
        raise InputError("no steps are done")

    monkeypatch.setattr(trainer, "_fit", begin)

    def start(out, *more, status=1):
        begun.clear()
        words = arguments(out, *OPTIONS, "--nodes", "2", "--resume", *more)
        assert main(["train", *words]) == status
        assert not capfd.readouterr().out
        return begun

    last, previous = stopped / "last.ckpt", stopped / "previous.ckpt"
    last.write_bytes(b"broken")
    assert start(stopped, "previous") == [last]
    last.unlink()
    assert start(stopped, "previous") == [last]
    previous.rename(last)
    assert start(stopped, "previous") == [last]
    last.unlink()
    assert start(stopped) == [None]
    assert start(unbroken, status=0) == [], "it is finished, and the first one ends, too"


def test_a_finished_run_is_made_longer(unbroken, introduced, tmp_path):
    out = tmp_path / "longer"
    shutil.copytree(unbroken, out)
    said = introduced(out, "--max-steps", "22")
    assert "max_steps was 20 and is 22" in said and f"resumed from step {STEPS - 1}\n" in said
    assert "is finished" not in said


def test_changed_data_need_a_word(stopped, scenes, tmp_path, resume):
    import cv2

    data = tmp_path / "data"
    shutil.copytree(scenes, data)
    moved = ["--train", str(data / "annotations.json"), "--train-images", str(data / "images")]
    again = data / "images" / "000002.png"
    again.write_bytes(cv2.imencode(".png", cv2.imread(str(again)), [16, 0])[1].tobytes())
    told = resume(stopped, *moved)
    assert "train: 1 of 6 images differ (000002.png); if they show the same, --data-changed" in told
    before = load_file(stopped / "best.safetensors")
    assert "changed: train_sha256 was" in resume(stopped, *moved, "--data-changed", status=0)
    after = load_file(stopped / "best.safetensors")
    assert all(torch.equal(before[key], after[key]) for key in after)
    content = json.loads((data / "annotations.json").read_text())
    content["images"].pop()
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] in kept]
    (data / "annotations.json").write_text(json.dumps(content))
    (stopped / "last.safetensors").unlink()
    told = resume(stopped, *moved, "--data-changed")
    assert "training_images was 6 and is 5" in told


def test_a_run_that_diverges_says_where_and_goes_on_from_a_good_checkpoint(stopped, resume, capfd):
    shutil.copy(stopped / "last.ckpt", stopped / "kept.ckpt")
    more = ["--max-steps", "40", "--checkpoint-every", "1", "--gradient-clip", "0"]
    told = resume(stopped, *more, "--learning-rate", "1e30")
    assert "expected finite numbers at step 2" in told
    for words in ("the loss before was", "the images of the step: 00000", "--learning-rate X"):
        assert words in told
    for name in ("last.ckpt", "previous.ckpt"):
        state = torch.load(stopped / name, weights_only=True)["state_dict"]
        assert all(value.isfinite().all() for value in state.values())
    offered = shlex.split(told.strip().partition(" it: yolact-ros ")[2])
    assert offered[-4:] == ["--resume", "previous", "--learning-rate", "X"]
    assert main([*offered[:-1], "0.001", "--max-steps", "24"]) == 0
    assert "best at step" in capfd.readouterr().out


def test_it_ends_early_where_nothing_gets_better(stopped, resume, monkeypatch):
    figures = dict.fromkeys(("mask_ap", "mask_ap50", "box_ap", "box_ap50"), 0.0)
    monkeypatch.setattr(Validator, "measure", lambda self: figures)
    more = ["--max-steps", "60", "--validate-every", "1", "--early-stopping", "3"]
    printed = resume(stopped, *more, status=0)
    assert "ended early: no better mask AP in 3 validations" in printed
    assert " of 23: mask AP" in printed, "the first of four validations sets the mark"
    assert "is finished" in resume(stopped, *more, status=0)
