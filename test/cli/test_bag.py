# SPDX-License-Identifier: Apache-2.0
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rosbags")

from rosbags.highlevel import AnyReader
from rosbags.typesys import get_types_from_msg

from yolact_ros.cli import stopping
from yolact_ros.cli.main import main
from yolact_ros.errors import InputError
from yolact_ros.inference import Segmenter
from yolact_ros.masks import full_mask
from yolact_ros.recordings.bags.results import Annotator
from yolact_ros.recordings.bags.state import load_state
from yolact_ros.recordings.bags.types import result_types
from yolact_ros.recordings.bags.writer import PartsWriter
from yolact_ros.scenes.scene import Scene
from yolact_testing.bags import IMAGE, TYPES, read_bag, recorded, write_bag, write_ros_1_bag

COUNT = 3
TOPICS = ("label_info", "instances", "detections", "objects", "overlay/compressed")


def bag(*arguments):
    return main(["bag", *map(str, arguments), "--device", "cpu", "--precision", "fp32", "--quiet"])


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bags") / "recording", recorded(COUNT))


@pytest.fixture(scope="module")
def tracked(recording, tmp_path_factory):
    """What is written of the recording in one go."""
    out = tmp_path_factory.mktemp("bags") / "tracked"
    assert bag(recording, out, "--track") == 0
    return out


def messages_of(path, topic):
    with AnyReader([path]) as reader:
        chosen = [each for each in reader.connections if each.topic == topic]
        return [reader.deserialize(data, each.msgtype) for each, _, data in reader.messages(chosen)]


def test_rosbags_reads_what_the_segmenter_finds(tracked):
    segmenter = Segmenter(device="cpu", precision="fp32")
    scene = Scene.random(1_000_123, width=160, height=120)
    published = messages_of(tracked, "/yolact/instances")
    objects = messages_of(tracked, "/yolact/objects")
    assert len(published) == len(objects) == COUNT
    for number, message in enumerate(published):
        [found] = segmenter(scene.frame(0.1 * number).image, channel_order="rgb")
        found = found.without_empty_masks()
        assert len(message.instances) == len(found) > 0
        assert [item.score for item in message.instances] == found.scores.tolist()
        for item, mask in zip(message.instances, found.masks, strict=True):
            np.testing.assert_array_equal(full_mask(item.mask, 120, 160), mask)
        for header in (message.header, objects[number].header):
            assert (header.stamp.nanosec, header.frame_id) == (number * 10**8, "camera")
        numbers = {item.track_id for item in objects[number].objects}
        assert numbers <= {item.track_id for item in message.instances} != {0}
    [labels] = messages_of(tracked, "/yolact/label_info")
    assert [each.class_name for each in labels.class_map] == list(segmenter.class_names)


def test_the_mcap_library_reads_it_with_its_own_definitions(tracked):
    mcap_ros2 = pytest.importorskip("mcap_ros2.decoder")
    from mcap.reader import make_reader

    counts = {}
    for file in sorted(tracked.glob("*.mcap")):
        with file.open("rb") as stream:
            reader = make_reader(stream, decoder_factories=[mcap_ros2.DecoderFactory()])
            for _, channel, _, message in reader.iter_decoded_messages():
                counts[channel.topic] = counts.get(channel.topic, 0) + 1
                assert message.header.stamp.sec == 1_700_000_000
    assert counts == {f"/yolact/{name}": 1 if name == "label_info" else COUNT for name in TOPICS}


def test_definitions_are_those_of_the_message_files():
    store = result_types()
    root = next(
        path for path in Path(__file__).parents if (path / "msg" / "InstanceArray.msg").exists()
    )
    for package, folder in (("yolact_ros", "msg"), ("vision_msgs", "overlay/vision_msgs/msg")):
        names = [name.split("/")[-1] for name in store.fielddefs if name.startswith(package)]
        assert len(names) >= 5
        for name in names:
            text = (root / folder / f"{name}.msg").read_text()
            kind = f"{package}/msg/{name}"
            assert get_types_from_msg(text, kind)[kind] == store.fielddefs[kind][:2]
    hashes = json.loads((root / "test" / "ros" / "vision_msgs_type_hashes.json").read_text())
    for name in ("Detection2DArray", "LabelInfo"):
        kind = f"vision_msgs/msg/{name}"
        assert store.hash_rihs01(kind) == hashes[kind]


class Killed(BaseException):
    """What no code catches, as a signal that kills."""


def killed_after(count, monkeypatch, *arguments):
    """Run the command until it has written so many messages."""
    left = iter(range(count))

    def write(writer, *arguments, really=PartsWriter.write):
        if next(left, None) is None:
            raise Killed
        really(writer, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(PartsWriter, "write", write)
        with pytest.raises(Killed):
            bag(*arguments)


def stopped_at_once(monkeypatch, *arguments):
    class Stopped(stopping.StopSignals):
        def __enter__(self):
            self.number = stopping.signal.SIGTERM
            return self

    with monkeypatch.context() as patch:
        patch.setattr(stopping, "StopSignals", Stopped)
        return bag(*arguments)


def test_killed_and_stopped_runs_go_on_to_the_same_messages(
    recording, tracked, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "tracked"
    given = (recording, out, "--track", "--part", "1")
    killed_after(4, monkeypatch, *given)  # in the first image, which has five messages
    assert bag(recording, out) == 1
    assert "track was True, is False" in capsys.readouterr().err
    assert stopped_at_once(monkeypatch, *given) == 143
    assert f"stopped by SIGTERM after 1 of {COUNT} images" in capsys.readouterr().err
    killed_after(6, monkeypatch, *given)  # in the third image
    assert not (out / "metadata.yaml").exists()
    assert bag(*given) == 0
    assert f"going on after 2 of {COUNT} images" in capsys.readouterr().err
    assert read_bag(out) == read_bag(tracked)
    files = {"metadata.yaml", *(f"tracked_{number}.mcap" for number in range(COUNT))}
    assert {file.name for file in out.iterdir()} == files
    assert bag(*given) == 1
    assert "expected a new folder, got one that holds a bag" in capsys.readouterr().err


def test_a_ros_1_bag_gives_the_same_messages(tracked, tmp_path):
    path = write_ros_1_bag(tmp_path / "recording.bag", recorded(COUNT))
    assert bag(path, tmp_path / "out", "--track", "--storage", "sqlite3") == 0
    assert read_bag(tmp_path / "out") == read_bag(tracked)


def test_parts_without_metadata_of_compressed_images_in_a_range(tracked, tmp_path, capsys):
    records, path = list(recorded(COUNT, compressed=True)), tmp_path / "recording"
    path.mkdir()
    for part in range(COUNT):
        made = write_bag(tmp_path / f"part_{part}", records[3 * part : 3 * part + 3], "sqlite3")
        shutil.move(made / f"part_{part}.db3", path)
    options = ("--start", "0.1", "--every", "2", "--no-depth", "--node", "/front")
    assert bag(path, tmp_path / "out", *options) == 1
    assert "it has no metadata.yaml: its files are read one by one" in capsys.readouterr().err
    [(topic, *_), *more] = read_bag(tmp_path / "out")[1:]
    assert (topic, len(more)) == ("/front/instances", 2)
    [ours] = messages_of(tmp_path / "out", "/front/instances")
    theirs = messages_of(tracked, "/yolact/instances")[1]
    assert [item.score for item in ours.instances] == [item.score for item in theirs.instances]
    assert ours.header.stamp.nanosec == theirs.header.stamp.nanosec == 10**8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "got nothing"),
        ({"only": "/camera/camera_info"}, "got none of pictures"),
        ({"twice": True}, "got 2 of pictures; name one"),
        ({"cut": 0.7}, "its topics: "),
        ({"cut": 0.0}, "seems to be empty"),
        ({"text": "no bag"}, "File magic is invalid"),
    ],
    ids=lambda value: str(value),
)
def test_what_cannot_be_used_is_said_with_the_topics(tmp_path, capsys, change, said):
    path = tmp_path / "recording"
    records = list(recorded(2))
    types = TYPES
    if "only" in change:
        records = [each for each in records if each[0] == change["only"]]
    if "twice" in change:
        types = TYPES | {"/rear": TYPES[IMAGE]}
        records += [("/rear", *rest) for topic, *rest in records if topic == IMAGE]
    if change:
        write_bag(path, records, types=types)
    file = path / "recording.mcap"
    if "cut" in change:
        file.write_bytes(file.read_bytes()[: int(change["cut"] * file.stat().st_size)])
    if "text" in change:
        file.write_text(change["text"])
    assert bag(path, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert said in error and "this is a bug" not in error
    if "twice" in change or change.get("cut"):
        assert IMAGE in error and TYPES[IMAGE] in error
    assert not (tmp_path / "out").exists()


def test_a_bad_image_is_left_out_and_counted(tmp_path, capsys):
    records = list(recorded(2))
    records[2][2]["encoding"] = "mono99"
    path = write_bag(tmp_path / "recording", records)
    assert bag(path, tmp_path / "out") == 1
    assert "image left out: image: expected an encoding" in capsys.readouterr().err
    assert len(messages_of(tmp_path / "out", "/yolact/instances")) == 1


def test_a_state_runs_nothing_of_others():
    class Bad:
        def __reduce__(self):
            return (os.system, ("false",))

    with pytest.raises(InputError, match=r"expected no posix\.system"):
        load_state(Annotator(lambda image: None), pickle.dumps({"tracker": Bad()}))
