# SPDX-License-Identifier: Apache-2.0
from yolact_ros.inference.gpu.room import MaskRoom


def test_it_grows_when_there_was_too_little_three_times_of_64():
    room = MaskRoom(1000)
    for need in [2000, *[0] * 64, 1001, *[10] * 30, 5000, *[0] * 20]:
        assert not room.follow(need)
    assert room.follow(3000)
    assert room.bytes == 10_000 and not room.is_least


def test_it_shrinks_when_64_batches_needed_less_than_a_quarter():
    room = MaskRoom(1000)
    assert [room.follow(4000) for _ in range(3)] == [False, False, True]
    assert room.bytes == 8000
    assert not any(room.follow(3000) for _ in range(63))
    assert not any(room.follow(1500) for _ in range(63))
    assert room.follow(1500)
    assert room.bytes == 3000
    changes = [room.follow(0) for _ in range(64)]
    assert changes == [False] * 63 + [True]
    assert room.bytes == 1000 and room.is_least


def test_a_need_that_just_fits_changes_nothing():
    room = MaskRoom(1000)
    assert not any(room.follow(1000) for _ in range(100))
