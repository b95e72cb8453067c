# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros train`: what it writes, what it refuses, and that the node's part loads it."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from yolact_ros.checkpoints import read_metadata
from yolact_ros.cli.main import main
from yolact_ros.inference import Segmenter
from yolact_ros.training.options import choose_precision
from yolact_ros.training.run_folder import dataset_digest

pytestmark = pytest.mark.slow  # trains


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Four scenes of two kinds that the demo does not know, and one that it does."""
    folder = tmp_path_factory.mktemp("sets") / "scenes"
    size = ["--image-size", "160x120", "--classes", "dumbbell", "mushroom", "ball"]
    assert main(["dataset", "synth", str(folder), "--images", "4", "--seed", "8", *size]) == 0
    return folder


def arguments(scenes, out, *more):
    files = [str(scenes / "annotations.json"), str(scenes / "images")]
    return [
        *("train", "--preset", "yolact_demo", "--recipe", "short", "--out", str(out)),
        *("--train", files[0], "--train-images", files[1]),
        *("--val", files[0], "--val-images", files[1]),
        *("--device", "cpu", "--threads", "1", "--precision", "fp32", "--workers", "0"),
        *("--max-steps", "3", "--validate-every", "2", "--batch-size", "2", "--seed", "9"),
        *more,
    ]


@pytest.fixture(scope="module")
def shipped():
    from yolact_ros.inference import shipped_weights
    from yolact_ros.presets import get_preset

    return str(shipped_weights(get_preset("yolact_demo")))


@pytest.fixture(scope="module")
def run(scenes, shipped, tmp_path_factory):
    """A finished run, fine-tuned from the shipped weights, and what was printed."""
    import contextlib
    import io

    out = tmp_path_factory.mktemp("runs") / "run"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        augment = ("--augment", "mirror=off", "rotation=10", "--augment", "copy-paste=1")
        assert main(arguments(scenes, out, "--weights", shipped, *augment)) == 0
    return out, printed.getvalue()


def test_it_says_what_it_does(run):
    out, printed = run
    for line in (
        "yolact_demo for 3 classes: dumbbell, mushroom, ball",
        "4 images; 3 steps of 2, that is 1.5 passes; cpu, fp32; batch norms frozen",
        "(the rows of background, ball)",
        "new: the rows of dumbbell, mushroom",
        "warning: 4 of 4 validation images are also trained on: 000001.png, 000002.png, ",
        str(out / "best.safetensors"),
    ):
        assert line in printed


def test_the_folder_holds_everything_to_repeat_the_run(run, scenes):
    out, _ = run
    assert {file.name for file in out.iterdir()} >= {
        *("run.json", "best.safetensors", "last.safetensors", "last.ckpt", "log", "curve.png")
    }
    description = json.loads((out / "run.json").read_text())
    settings = description["settings"]
    assert settings["seed"] == 9
    assert settings["max_steps"] == 3
    assert settings["recipe"]["optimizer"] == "adamw"
    augmentation = settings["recipe"]["augmentation"]
    assert [augmentation[name] for name in ("mirror", "rotation", "copy_paste")] == [0, 10, 1]
    assert augmentation["window_crop"] == 0.6, "as in the recipe"
    assert cv2.imread(str(out / "samples.png")).shape[1] > 2 * 320
    preset = json.loads(settings["preset_definition"])
    assert preset["class_names"] == ["dumbbell", "mushroom", "ball"]
    assert preset["input_size"] == 320
    [start] = description["starts"]
    assert start["torch"] == torch.__version__
    assert start["revision"] and start["command"].startswith("yolact-ros ")
    assert start["train_images"] == str(scenes / "images")
    assert len(settings["train_sha256"]) == 64
    [log] = (out / "log").iterdir()
    assert (log / "metrics.csv").read_text().count("\n") >= 4
    assert list(log.glob("events.out.tfevents.*"))


def test_the_digest_sees_annotations_and_pictures(scenes, tmp_path):
    from yolact_ros.datasets.coco import read_dataset
    from yolact_ros.datasets.picture_files import picture_digests

    def digest(folder):
        file = folder / "annotations.json"
        dataset = read_dataset(file, folder / "images")
        return dataset_digest([file], picture_digests(dataset, print))

    copy = tmp_path / "copy"
    shutil.copytree(scenes, copy)
    digests = []
    for change in (None, copy / "images" / "000001.png", copy / "annotations.json"):
        if change:
            change.write_bytes(change.read_bytes() + b" ")
        digests.append(digest(copy))
    assert len(set(digests)) == 3
    assert digests[0] == digest(scenes)


@pytest.mark.parametrize("name", ["best.safetensors", "last.safetensors"])
def test_the_weights_bring_their_preset_and_classes(run, name):
    out, _ = run
    metadata = read_metadata(out / name)
    assert metadata["seed"] == "9"
    assert int(metadata["step"]) == (3 if name.startswith("last") else int(metadata["step"]))
    if name.startswith("best"):
        assert 0 <= float(metadata["mask_ap"]) <= 1
    segmenter = Segmenter(weights=out / name)
    assert segmenter.class_names == ("dumbbell", "mushroom", "ball")
    [instances] = segmenter(np.zeros((48, 64, 3), np.uint8))
    assert instances.image_size == (48, 64)


def test_the_best_weights_are_the_averaged_ones(scenes, tmp_path):
    out = tmp_path / "run"
    assert main(arguments(scenes, out, "--max-steps", "2")) == 0
    best, last = load_file(out / "best.safetensors"), load_file(out / "last.safetensors")
    assert read_metadata(out / "best.safetensors")["step"] == "2"
    assert all(torch.equal(best[name], last[name]) for name in last)


def test_a_broken_data_set_is_told_before_training(scenes, tmp_path, capfd):
    broken = tmp_path / "broken"
    shutil.copytree(scenes, broken)
    content = json.loads((broken / "annotations.json").read_text())
    content["annotations"][3]["category_id"] = 77
    (broken / "annotations.json").write_text(json.dumps(content))
    assert main(arguments(broken, tmp_path / "run")) == 1
    number = content["annotations"][3]["id"]
    message = capfd.readouterr().err
    assert str(broken / "annotations.json") in message
    assert f"annotation {number}" in message and "77" in message
    assert not (tmp_path / "run").exists()


def test_validation_may_not_have_other_classes(scenes, tmp_path, capfd):
    other = tmp_path / "other"
    shutil.copytree(scenes, other)
    content = json.loads((other / "annotations.json").read_text())
    content["categories"][0]["name"] = "wheel"
    (other / "annotations.json").write_text(json.dumps(content))
    more = ["--val", str(other / "annotations.json"), "--val-images", str(other / "images")]
    assert main(arguments(scenes, tmp_path / "run", *more)) == 1
    assert "(dumbbell, mushroom, ball), got besides wheel" in capfd.readouterr().err
    for annotation in content["annotations"]:
        annotation["iscrowd"] = 1
    (other / "annotations.json").write_text(json.dumps(content))
    assert main(arguments(scenes, tmp_path / "run", *more)) == 1
    crowds = f"expected objects, got {len(content['annotations'])} crowd regions alone"
    said = f"yolact-ros: val: {other / 'annotations.json'}: {crowds}"
    assert capfd.readouterr().err.startswith(said)


@pytest.mark.parametrize(
    ("more", "status", "message"),
    [
        (["--preset", "yolact"], 2, "--preset: expected one of"),
        (["--recipe", "quick"], 2, "--recipe: invalid choice: 'quick'"),
        (["--batch-size", "0"], 2, "--batch-size: expected an integer of 1 or more, got '0'"),
        (["--max-steps", "-1"], 2, "--max-steps: expected an integer of 1 or more, got '-1'"),
        (["--workers", "-1"], 2, "--workers: expected an integer from 0 to "),
        (["--workers", "100000"], 2, "--workers: expected an integer from 0 to "),
        (["--devices", "100000"], 2, "--devices: expected an integer from 1 to "),
        (["--seed", "99999999999999999999"], 2, "--seed: expected an integer below 2147483648"),
        (["--max-steps", "99999999999999999999"], 2, "--max-steps: expected an integer below"),
        (["--precision", "fp8"], 2, "--precision: invalid choice: 'fp8'"),
        (["--augmentation", "wild"], 2, "--augmentation: invalid choice: 'wild'"),
        (["--augment", "hue=9", "miror=off"], 2, "--augment: expected NAME=VALUE with an entry"),
        (["--class-loss", "hinge"], 2, "--class-loss: invalid choice: 'hinge'"),
        (["--average", "1"], 2, "--average: expected a number from 0 to below 1, got '1'"),
        (["--learning-rate", "nan"], 2, "--learning-rate: expected a number above 0, got 'nan'"),
        (["--weights", "nowhere.pth"], 2, "--weights: expected an existing file, got 'nowhere"),
        (["--backbone-weights", "imagenet"], 1, "torchvision does not have the backbone"),
        (["--backbone-weights", "x.pth"], 2, "expected auto, imagenet, none or an existing file"),
        (["--weights-class-names", "a"], 1, "weights_class_names: expected weights, whose classes"),
        (["--backbone", "mobilenet"], 2, "--backbone: expected torchvision:NAME"),
        (["--input-size", "32"], 2, "--input-size: expected an integer from 64 to 4096, got '32'"),
        (["--freeze-stages", "1"], 1, "freeze_stages: expected weights to start from, which stay"),
        (["--freeze-stages", "9"], 1, "freeze_stages: expected at most 4, got 9"),
        (["--repeat-threshold", "2"], 2, "--repeat-threshold: expected a number from 0 to 1"),
        (["--early-stopping", "0"], 2, "--early-stopping: expected an integer of 1 or more"),
        (["--checkpoint-minutes", "0"], 2, "--checkpoint-minutes: expected a number above 0"),
        (["--resume", "first"], 2, "--resume: invalid choice: 'first'"),
        (["--loggers", "clearml"], 2, "--loggers: invalid choice: 'clearml'"),
        (["--loggers", "comet"], 1, "expected the package comet-ml for comet, found none: pip"),
        (["--threads", "0"], 2, "--threads: expected an integer from 1 to "),
    ],
)
def test_bad_arguments(scenes, tmp_path, refused, more, status, message):
    refusal = refused(*arguments(scenes, tmp_path / "run", *more))
    assert refusal[0] == status and message in refusal[1]
    assert not (tmp_path / "run").exists()


def test_several_sets_some_classes_and_a_copy_of_a_trained_picture(scenes, tmp_path, capfd):
    content = json.loads((scenes / "annotations.json").read_text())
    folders = []
    for name, kept in (("lab", content["images"][:2]), ("yard", content["images"][2:3])):
        folders.append(tmp_path / name)
        folders[-1].mkdir()
        for image in kept:
            shutil.copy(scenes / "images" / image["file_name"], folders[-1] / image["file_name"])
        ids = {image["id"] for image in kept}
        labels = [each for each in content["annotations"] if each["image_id"] in ids]
        (tmp_path / f"{name}.json").write_text(
            json.dumps(content | {"images": kept, "annotations": labels})
        )
    hall = tmp_path / "hall"
    hall.mkdir()
    for number, image in enumerate(content["images"][2:]):
        shutil.copy(scenes / "images" / image["file_name"], hall / f"{number}.png")
        image["file_name"] = f"{number}.png"
    ids = {image["id"] for image in content["images"][2:]}
    labels = [each for each in content["annotations"] if each["image_id"] in ids]
    (tmp_path / "hall.json").write_text(
        json.dumps(content | {"images": content["images"][2:], "annotations": labels})
    )
    more = ["--train", str(tmp_path / "lab.json"), str(tmp_path / "yard.json")]
    more += ["--train-images", *map(str, folders), "--classes", "mushroom", "ball"]
    more += ["--val", str(tmp_path / "hall.json"), "--val-images", str(hall), "--max-steps", "1"]
    assert main(arguments(scenes, tmp_path / "run", *more)) == 0
    printed = capfd.readouterr().out
    assert "yolact_demo for 2 classes: mushroom, ball\n3 images; " in printed
    warning = "warning: 1 of 2 validation images are also trained on: 0.png (yard/000003.png in "
    assert warning in printed
    description = json.loads((tmp_path / "run" / "run.json").read_text())
    assert description["starts"][0]["train_images"] == " ".join(map(str, folders))
    wrong = arguments(scenes, tmp_path / "wrong", *more, "--train-images", *["."] * 3)
    assert main(wrong) == 1
    assert (
        "images: expected one folder, or one for each of 2 files, got 3" in capfd.readouterr().err
    )


def test_another_backbone_and_a_set_that_is_mended(scenes, tmp_path, capfd):
    mended = tmp_path / "mended"
    shutil.copytree(scenes, mended)
    content = json.loads((mended / "annotations.json").read_text())
    content["annotations"][3]["segmentation"] = [[1, 1, 5, 5]]
    (mended / "annotations.json").write_text(json.dumps(content))
    more = ["--backbone", "torchvision:mobilenet_v3_small", "--backbone-weights", "none"]
    more += ["--repeat-threshold", "1", "--loggers", "--input-size", "128"]
    assert main(arguments(mended, tmp_path / "run", *more, "--max-steps", "1", "--mend")) == 0
    told = f"{mended / 'annotations.json'}: outlines of fewer than three points, left out: 1\n"
    printed = capfd.readouterr().out
    assert printed.count(told) == 2  # of the training data and of the other
    assert "images with rare classes are shown more often, at most" in printed
    assert "input of 128 x 128 pixels" in printed
    segmenter = Segmenter(weights=tmp_path / "run" / "best.safetensors")
    assert segmenter.preset.name == "yolact_demo:mobilenet_v3_small"
    assert segmenter.preset.input_size == 128
    [log] = (tmp_path / "run" / "log").iterdir()
    assert [file.name for file in log.iterdir()] == ["metrics.csv"]


def test_more_devices_than_there_are(scenes, tmp_path, capfd):
    more = ["--device", "cuda", "--devices", str(torch.cuda.device_count() + 1)]
    assert main(arguments(scenes, tmp_path / "run", *more)) == 1
    assert "devices: expected at most" in capfd.readouterr().err


def test_a_chosen_precision_is_kept():
    assert choose_precision("fp32", "cpu") == "fp32"
    assert choose_precision("auto", "cpu", begun_in="bf16") == "bf16"


def test_a_logger_that_lacks_a_package_of_its_own_is_one_line(tmp_path, monkeypatch):
    from yolact_ros.training import loggers
    from yolact_ros.training.run_folder import RunFolder

    def lacking(*args, **options):
        raise ModuleNotFoundError("No module named 'click'")

    monkeypatch.setattr(loggers, "WandbLogger", lacking)
    with pytest.raises(ValueError, match="wandb cannot be imported: No module named 'click'"):
        loggers.make_loggers(["wandb"], RunFolder(tmp_path), 0)
