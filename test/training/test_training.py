# SPDX-License-Identifier: Apache-2.0
"""Training as a whole, as short as it can be and still be training."""

import json
import subprocess

import numpy as np
import pytest
import torch

from yolact_ros.cli.main import main
from yolact_ros.evaluation.scenes import render_scene
from yolact_ros.inference import Segmenter
from yolact_ros.network import build_network, read_metadata
from yolact_ros.training.augmentation import Augmentation, collate, make_sample
from yolact_ros.training.demo import DemoTraining, choose_precision
from yolact_ros.training.losses import MultiBoxLoss
from yolact_ros.training.module import Schedule, TrainingError, TrainingModule
from yolact_ros.training.provenance import git_revision
from yolact_ros.training.scene_store import StoredScene


def two_scenes():
    samples = []
    for seed in (1, 2):
        frame = render_scene(seed)
        class_ids = np.array([thing.class_id for thing in frame.objects])
        stored = StoredScene(frame.image, frame.instance_map.astype(np.uint8), class_ids)
        samples.append(
            make_sample(
                stored,
                input_size=320,
                mask_size=80,
                augmentation=Augmentation.none(),
                rng=np.random.default_rng(0),
            )
        )
    return collate(samples)


def module(steps):
    torch.manual_seed(0)
    network = build_network("yolact_demo").to(memory_format=torch.channels_last)
    made = TrainingModule(network, MultiBoxLoss(), Schedule(steps=steps, learning_rate=2e-3))
    made.log = made.log_dict = lambda *args, **options: None  # there is no trainer to log to
    return made


def test_two_scenes_are_learned():
    batch = two_scenes()
    trained = module(steps=30)
    configured = trained.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    losses = []
    for step in range(30):
        loss = trained.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_loss_that_is_no_number_stops_with_a_clear_word():
    broken = module(steps=1)
    with torch.no_grad():
        broken.network.proto_net[0].weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="finite numbers at step 0, got others in prototypes"):
        broken.training_step(two_scenes(), 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    arguments = "--scenes 4 --steps 2 --batch-size 2 --evaluation-scenes 1 --threads 1 --seed 5"
    assert main(["train-demo", "--out", str(out), *arguments.split()]) == 0
    return out


def test_the_command_writes_weights_that_say_where_they_come_from(run):
    weights = run / "yolact_demo.safetensors"
    assert weights.stat().st_size <= 8_000_000
    metadata = read_metadata(weights)
    assert metadata["command"].startswith("yolact-ros train-demo --batch-size 2 ")
    assert "--seed 5" in metadata["command"]
    assert metadata["seed"] == "5"
    assert metadata["torch"] == torch.__version__
    assert metadata["scenes"] == "1"
    assert 0 <= float(metadata["mask_ap"]) <= 1
    assert metadata["revision"]
    [instances] = Segmenter(weights=weights)(np.zeros((48, 64, 3), np.uint8))
    assert instances.image_size == (48, 64)


def test_the_command_writes_figures_and_a_log(run):
    report = json.loads((run / "metrics.json").read_text())
    assert report["options"]["steps"] == 2
    assert set(report["seconds"]) == {"rendering", "training", "evaluation"}
    assert report["mask"]["ap"] <= 1
    assert (run / "log" / "metrics.csv").is_file()
    assert (run / "checkpoints" / "last.ckpt").is_file()
    assert not (run / "scenes").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scenes": 0}, "scenes: expected 1 to 1000000, got 0"),
        ({"steps": 0}, "steps: expected 1 or more, got 0"),
        ({"learning_rate": 0}, "learning_rate: expected more than 0, got 0"),
        ({"precision": "fp8"}, "precision: expected auto, fp32 or bf16, got 'fp8'"),
    ],
)
def test_bad_options(changed, message):
    with pytest.raises(ValueError, match=message):
        DemoTraining(**changed)


def test_a_chosen_precision_is_kept():
    assert choose_precision("fp32") == "fp32"
    assert choose_precision("auto") in ("fp32", "bf16")


def test_the_revision_tells_of_changes(tmp_path):
    assert git_revision(tmp_path) == "unknown"
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    (tmp_path / "file").write_text("one")
    for command in (["init", "-q"], ["add", "file"], [*identity, "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    clean = git_revision(tmp_path)
    assert len(clean) == 40
    (tmp_path / "file").write_text("two")
    assert git_revision(tmp_path) == f"{clean}-dirty"
