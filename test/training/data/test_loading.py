# SPDX-License-Identifier: Apache-2.0
"""Which samples make up a step, and what becomes of those that cannot be made."""

from itertools import chain
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolact_ros.errors import InputError
from yolact_ros.training.data.augmentation import augmentation_named
from yolact_ros.training.data.loading import StepSampler, TrainingData
from yolact_ros.training.data.training_set import TrainingSet
from yolact_testing.datasets import write_dataset
from yolact_testing.pictures import noise


@given(
    steps=st.integers(1, 12),
    batch=st.integers(1, 5),
    world=st.integers(1, 4),
    first=st.integers(0, 12),
)
def test_processes_see_together_what_one_sees_with_the_joined_batch(steps, batch, world, first):
    alone = StepSampler(
        steps=steps, batch_size=batch * world, rank=0, world_size=1, first_step=first
    )
    shares = [
        list(
            StepSampler(
                steps=steps, batch_size=batch, rank=rank, world_size=world, first_step=first
            )
        )
        for rank in range(world)
    ]
    joined = [list(chain(*parts)) for parts in zip(*shares, strict=True)]
    assert joined == list(alone)
    samples = range(first * batch * world, max(steps, first) * batch * world)
    assert list(chain(*joined)) == list(samples)
    assert len(alone) == steps, "Lightning counts the steps before the first one too"


def test_a_picture_that_is_gone_is_told_in_one_line_by_workers_too(tmp_path):
    square = [[5.0, 5, 30, 5, 30, 30, 5, 30]]
    labels = [{"image_id": i, "category_id": 1, "segmentation": square} for i in (1, 2)]
    pictures = [noise(40, 50, seed) for seed in range(2)]
    dataset = write_dataset(tmp_path, pictures, {1: "square"}, labels)
    (tmp_path / "2.png").unlink()
    samples = TrainingSet(
        dataset, input_size=32, augmentation=augmentation_named("none"), seed=0, length=4
    )
    for workers in (0, 1):
        data = TrainingData(
            training=samples, validation=dataset, steps=4, batch_size=1, workers=workers
        )
        data.trainer = SimpleNamespace(global_rank=0, world_size=1, global_step=0)
        loaders = [data.train_dataloader(), *([] if workers else [data.val_dataloader()])]
        for loader in loaders:
            with pytest.raises(InputError) as error:
                list(loader)
            assert "2.png" in str(error.value)
            assert "\n" not in str(error.value)
