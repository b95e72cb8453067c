# SPDX-License-Identifier: Apache-2.0
"""When a checkpoint is made."""

from types import SimpleNamespace

import pytest

from yolact_ros.training import last_checkpoint
from yolact_ros.training.last_checkpoint import LastCheckpoint


@pytest.mark.parametrize("every", [None, 4])
def test_checkpoints_are_made_by_steps_and_by_time(tmp_path, monkeypatch, every):
    clock = SimpleNamespace(monotonic=lambda: 60.0 * clock.minutes, minutes=0)
    monkeypatch.setattr(last_checkpoint, "time", clock)
    monkeypatch.setattr(last_checkpoint, "require_finite", lambda *_: None)
    last = LastCheckpoint(
        path=tmp_path / "last.ckpt",
        previous=tmp_path / "previous.ckpt",
        every=every,
        minutes=3,
        validated_every=100,
        validation_images=1,
        stop=SimpleNamespace(number=None, at_once=True),
    )
    saved = []

    def save(path):
        path.touch()
        saved.append(trainer.global_step)

    module = SimpleNamespace(state_dict=dict)
    trainer = SimpleNamespace(
        max_steps=12, world_size=1, is_global_zero=True, should_stop=False,
        lightning_module=module, save_checkpoint=save,
    )  # fmt: skip
    for step in range(1, 13):  # of a minute each
        clock.minutes, trainer.global_step = step, step
        last.on_train_batch_end(trainer, module, None, None, step)
    by_time = [3, 6, 9] if every is None else [3, 4, 7, 8]
    assert saved == [*by_time, 11], "the step before the last too"
