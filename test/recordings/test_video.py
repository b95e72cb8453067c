# SPDX-License-Identifier: Apache-2.0
"""Videos as they come: turned, cut, damaged, with frame rates of any kind."""

import math
from contextlib import closing

import cv2
import numpy as np
import pytest

from yolact_ros.errors import InputError
from yolact_ros.recordings.encoders import PyAVEncoder
from yolact_ros.recordings.video import Video
from yolact_ros.recordings.video_writer import VideoWriter, codecs
from yolact_testing.pictures import noise
from yolact_testing.videos import cut, patched, turned, write_video


def frames_of(count, height=48, width=64):
    return [noise(height, width, seed, block=8) for seed in range(count)]


def read(path):
    with closing(Video(path)) as video:
        return list(video), video.complaint()


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v"])
def test_a_whole_video_has_all_its_frames(tmp_path, suffix):
    path = write_video(tmp_path / f"a{suffix}", frames_of(9))
    frames, complaint = read(path)
    assert len(frames) == 9 and complaint is None


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_what_a_phone_filmed_sideways_comes_upright(tmp_path, degrees):
    stored = np.zeros((48, 64, 3), np.uint8)
    stored[:16, :16] = 255  # the corner at the top left
    path = turned(write_video(tmp_path / "a.mp4", [stored] * 3), degrees)
    frames, _ = read(path)
    upright = np.rot90(stored, -degrees // 90)
    assert frames[0].shape == upright.shape
    assert np.abs(frames[0].astype(int) - upright).mean() < 10


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_of_a_cut_video_the_frames_are_counted(tmp_path, suffix):
    path = cut(write_video(tmp_path / f"a{suffix}", frames_of(30, 96, 128)), 0.5)
    frames, complaint = read(path)
    assert 5 < len(frames) < 25
    about = "about " * (suffix == ".mkv")
    assert f"a{suffix}: {len(frames)} of {about}30 frames could be read" in complaint


def test_frames_that_cannot_be_decoded_are_an_error(tmp_path):
    path = patched(write_video(tmp_path / "a.avi", frames_of(3)), b"MJPG", b"DXTZ")
    try:
        frames, complaint = read(path)
    except InputError as error:
        frames, complaint = [], str(error)
    assert not frames
    assert "expected" in complaint and "a.avi" in complaint


def stated_fps(path, fps):
    """State another rate in an AVI file."""
    data = bytearray(path.read_bytes())
    stream = data.index(b"strh") + 8
    data[stream + 20 : stream + 24] = (1000).to_bytes(4, "little")  # dwScale
    data[stream + 24 : stream + 28] = round(fps * 1000).to_bytes(4, "little")  # dwRate
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("fps", [211.222, 66.667, 29.97, 0.1, 1000, 90000])
def test_a_rate_of_any_kind_can_be_read_and_written(tmp_path, mpeg4, fps):
    path = stated_fps(write_video(tmp_path / "a.avi", frames_of(4)), fps)
    with closing(Video(path)) as video:
        assert math.isclose(video.fps, fps if 0.01 <= fps <= 1000 else 30, rel_tol=1e-3)
        writer = VideoWriter(tmp_path / "b.mp4", video.fps, (48, 64))
        for frame in video:
            writer.write(frame)
    writer.close()
    capture = cv2.VideoCapture(str(tmp_path / "b.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 4
    assert math.isclose(capture.get(cv2.CAP_PROP_FPS), video.fps, rel_tol=0.01)


def test_an_overlay_has_another_name_until_it_is_complete(tmp_path, mpeg4):
    writer = VideoWriter(tmp_path / "b.mp4", 10, (48, 64))
    writer.write(noise(48, 64))
    assert [path.name for path in tmp_path.iterdir()] == ["b.unfinished.mp4"]
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["b.mp4"]


def test_frames_of_another_size_are_resized_and_counted(tmp_path, mpeg4):
    writer = VideoWriter(tmp_path / "b.mp4", 10, (48, 64))
    for size in ((48, 64), (96, 128), (30, 20)):
        writer.write(noise(*size))
    writer.close()
    assert writer.resized == 2
    assert [frame.shape for frame in read(tmp_path / "b.mp4")[0]] == [(48, 64, 3)] * 3


def written(path, size=(48, 64)):
    writer = VideoWriter(path, 211.222, size)
    for seed in range(3):
        writer.write(noise(*size, seed))
    writer.close()
    assert len(read(path)[0]) == 3
    capture = cv2.VideoCapture(str(path))
    code = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode().lower()
    return writer, code


def test_it_takes_a_codec_that_browsers_play_where_there_is_one(tmp_path):
    writer, code = written(tmp_path / "a.mp4")
    expected = {"H.264": ("avc1", "h264"), "VP9": ("vp09", "vp90"), "MPEG-4": ("mp4v", "fmp4")}
    assert code in expected[writer.codec.name]
    assert writer.codec.in_browsers == (writer.codec.name != "MPEG-4")


def test_mpeg4_is_not_for_browsers_and_gets_the_nearest_rate(tmp_path, mpeg4):
    writer, code = written(tmp_path / "b.mp4")
    assert not writer.codec.in_browsers and code in ("mp4v", "fmp4")
    assert writer.fps == 211.22  # it cannot hold three decimals


def test_pyav_writes_h264_of_any_rate_and_odd_sizes(tmp_path, monkeypatch):
    pytest.importorskip("av")
    [codec] = [codec for codec in codecs((47, 65)) if codec.encoder is PyAVEncoder]
    monkeypatch.setattr("yolact_ros.recordings.video_writer.codecs", lambda size: [codec])
    writer, code = written(tmp_path / "a.mp4", (47, 65))
    assert code in ("avc1", "h264") and writer.fps == 211.222
    assert read(tmp_path / "a.mp4")[0][0].shape == (46, 64, 3)


def test_a_video_that_could_not_be_written_whole_is_an_error(tmp_path, mpeg4, files_end_at):
    writer = VideoWriter(tmp_path / "b.mp4", 10, (128, 128))
    files_end_at(4000)
    for seed in range(10):
        writer.write(noise(128, 128, seed))  # OpenCV goes on without a word
    with pytest.raises(InputError, match="expected a video of 10 frames, got one of 0 in"):
        writer.close()
    assert not (tmp_path / "b.mp4").exists()
