# SPDX-License-Identifier: Apache-2.0
"""`predict` killed by SIGKILL, as the system does when memory is short."""

import json
import os
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import cv2
import pytest

from yolact_testing.networks import random_weights
from yolact_testing.pictures import noise
from yolact_testing.videos import write_video

PROGRAM = Path(__file__).with_name("killed_predictions.py")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_any_moment_all_but_the_current_image_is_there(tmp_path):
    """YOLACT_KILLS=20 kills it as often, with a folder and a video each."""
    count = int(os.environ.get("YOLACT_KILLS", "1"))
    # All images are the same: so must their results be.
    picture = noise(96, 128, block=8)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "00.png"), picture)
    for number in range(1, 60):
        shutil.copy(pictures / "00.png", pictures / f"{number:02d}.png")
    video = write_video(tmp_path / "clip.avi", [picture] * 60)
    weights = random_weights(tmp_path, eager=2.0)
    options = ["--quiet", "--weights", str(weights), "--device", "cpu"]
    commands = {
        str(tmp_path / "folder"): ["predict", str(pictures), "--format", "coco", *options],
        str(tmp_path / "video"): ["predict", str(video), *options],
    }
    arguments = [sys.executable, PROGRAM, str(count), json.dumps(commands)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "True" in result.stdout
    for kind in ("folder", "video"):
        images = [check(tmp_path / kind / str(number), kind) for number in range(count)]
        print(f"{kind}: killed after {images} images of 60")


def check(out, kind):
    """Return the number of images that are listed, all of them complete."""
    if kind == "folder":
        content = json.loads((out / "annotations.json").read_text())
        images, results = content["images"], content["annotations"]
        overlays = sorted((out / "overlays").glob("*.png"))
        assert all((out / "images" / image["file_name"]).exists() for image in images)
        for overlay in overlays:
            assert cv2.imread(str(overlay)).shape == (96, 128, 3)
        assert len(images) - 1 <= len(overlays) <= len(images)
    else:
        images = json.loads((out / "images.json").read_text())
        results = json.loads((out / "results.json").read_text())
        unfinished = out / "clip.unfinished.mp4"
        assert unfinished.exists() != (out / "clip.mp4").exists() or len(images) < 2
    assert [image["id"] for image in images] == list(range(1, len(images) + 1))
    of_image = {
        key: [{**one, "image_id": 0, "id": 0} for one in some]
        for key, some in groupby(results, lambda one: one["image_id"])
    }
    # in a data set, an image is listed just before its annotations
    for image in images[: len(images) - (kind == "folder")]:
        assert of_image[image["id"]] == of_image[1]
    return len(images)
