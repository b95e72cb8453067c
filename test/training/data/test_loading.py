# SPDX-License-Identifier: Apache-2.0
"""Which samples make up a step."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from yolact_ros.training.data.loading import StepSampler


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
