# SPDX-License-Identifier: Apache-2.0
import errno
import fcntl
import json
import os
import shutil
import threading
import time
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from yolact_ros.datasets import kept_records, picture_files
from yolact_ros.datasets.kept_records import Source, read_recorded
from yolact_ros.datasets.merge import read_datasets
from yolact_ros.datasets.picture_files import picture_digests
from yolact_ros.datasets.problems import DatasetError
from yolact_ros.datasets.records import file_names, with_objects
from yolact_ros.datasets.segmentation import encode_mask
from yolact_ros.errors import InputError
from yolact_testing.datasets import coco_content, write_pictures
from yolact_testing.pictures import noise

COLUMNS = (
    *("image", "width", "height", "name", "name_end", "object_end", "object", "class", "box"),
    *("crowd", "area", "polygon_end", "number_end", "number", "runs", "runs_end"),
)


@pytest.fixture
def source(tmp_path):
    """Two pictures with a polygon, with run lengths that lack box and area, and with a crowd."""
    write_pictures(tmp_path / "pictures", [noise(20, 30), noise(24, 16)])
    mask = np.zeros((24, 16), bool)
    mask[3:9, 4:12] = True
    square = [[4, 4, 12, 4, 12, 12, 4, 12]]
    rows = [
        {"image_id": 1, "category_id": 7, "segmentation": square, "bbox": [4, 4, 8, 8]},
        {"image_id": 2, "category_id": 5, "segmentation": encode_mask(mask)},
        {"image_id": 2, "category_id": 7, "segmentation": square, "iscrowd": 1},
    ]
    content = coco_content([(20, 30), (24, 16)], {7: "cup", 5: "pen"}, rows)
    (tmp_path / "a.json").write_text(json.dumps(content))
    return Source((tmp_path / "a.json",), (tmp_path / "pictures",))


def comparable(dataset):
    return (
        dataset.content, dataset.annotation_file, dataset.class_names,
        dataset.category_ids, dataset.turned, dataset.mended, dataset.image_folder.resolve(),
    )  # fmt: skip


def test_it_is_read_once_until_something_changes(source, monkeypatch, tmp_path):
    reads = count_reads(monkeypatch)
    picture, annotations = tmp_path / "pictures" / "1.png", tmp_path / "a.json"

    def count(source=source):
        reads.clear()
        found = read_recorded(source, pytest.fail)
        expected = read_datasets(source.annotations, source.images, source.classes)
        assert comparable(found) == comparable(expected)
        assert (
            picture_digests(found, print)
            == picture_digests(expected, print)
            == picture_digests(found, print)
        )
        assert file_names(found) == file_names(expected)
        assert picture_digests(with_objects(found), print) == picture_digests(
            with_objects(expected), pytest.fail
        )
        return len(reads)

    assert [count(), count()] == [1, 0]
    os.utime(picture, ns=(0, 1))
    assert [count(), count()] == [1, 0]
    before = picture_digests(read_recorded(source, pytest.fail), print)
    shutil.copy(tmp_path / "pictures" / "2.png", tmp_path / "pictures" / "3.png")
    picture.write_bytes(picture.read_bytes() + b" ")
    assert [count(), count()] == [1, 0]
    assert picture_digests(read_recorded(source, pytest.fail), print) != before
    annotations.write_text(annotations.read_text().replace("cup", "mug"))
    assert [count(), count()] == [1, 0]
    chosen = Source(source.annotations, source.images, ("mug",))
    assert [count(chosen), count(chosen), count()] == [1, 0, 0]
    kept = read_recorded(source, pytest.fail).images.folder
    (kept / "number.bin").unlink()
    assert [count(), count()] == [1, 0]
    # ids that no column holds are no reason to refuse a set
    annotations.write_text(annotations.read_text().replace('"id": 1,', f'"id": {10**30},', 1))
    content = json.loads(annotations.read_text())
    content["annotations"][0]["image_id"] = 10**30
    annotations.write_text(json.dumps(content))
    assert [count(), count()] == [2, 2]


FILES = ("description.json", "pictures.npy", "sums.txt", "digests", *(f"{c}.bin" for c in COLUMNS))
DAMAGES = {
    "emptied": lambda data: b"",
    "cut off": lambda data: data[: len(data) // 2],
    "zeros": lambda data: bytes(len(data)),
    "a bit turned over": lambda data: data[:-1] + bytes([data[-1] ^ 4]),
    "of another array": lambda data: b"PK\3\4" + data,
    "of other JSON": lambda data: b"[" * 100_000,
    "longer": lambda data: data + bytes(32),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_made_anew(source, name, damage):
    first = read_recorded(source, pytest.fail)
    expected = comparable(first), picture_digests(first, print)
    folder = first.images.folder
    assert {*FILES} == {file.name for file in folder.iterdir()}
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(DAMAGES[damage](whole))
    assert (folder / name).read_bytes() != whole
    again = read_recorded(source, pytest.fail)
    assert (comparable(again), picture_digests(again, print)) == expected
    assert (folder / name).read_bytes() == whole


def test_it_is_on_the_disk_before_it_has_its_name(source, monkeypatch):
    done = []

    def flush(descriptor):
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))

    def rename(old, new, rename=Path.rename):
        assert {old, *old.iterdir()} <= {*done}
        done.clear()
        return rename(old, new)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "rename", rename)
    found = read_recorded(source, pytest.fail)
    folder = found.images.folder
    assert done == [folder.parent]
    picture_digests(found, print)
    assert done[1:] == [folder / "digests.unfinished", folder]


def seen(dataset):
    return (
        comparable(dataset),
        dataset.remarks,
        picture_digests(dataset, print),
        file_names(dataset),
    )


def count_reads(monkeypatch):
    """Have each reading noted in the list that is returned."""
    reads = []
    whole = Source.read
    monkeypatch.setattr(Source, "read", lambda self: reads.append(self) or whole(self))
    return reads


def without_area(content):
    content["annotations"].append({**content["annotations"][0], "id": 8})
    content["annotations"][-1]["segmentation"] = [[1, 1, 5, 1, 9, 1]]


def null_field(content):
    content["annotations"][1]["bbox"] = None


def text_id(content):
    content["annotations"][0]["id"] = "first"


def unknown_image(content):
    content["annotations"].append({**content["annotations"][0], "id": 9, "image_id": 77})


def missing_picture(content):
    content["images"].append({"id": 3, "file_name": "3.png", "width": 20, "height": 30})


def misplaced_picture(content):
    content["images"][0]["file_name"] = "photos/1.png"


FAULTS = {
    "none": ((), False),
    "benign": ((without_area, null_field, text_id), False),
    "to mend": ((unknown_image, missing_picture, misplaced_picture, null_field), True),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_set_with_remarks_is_read_once(source, tmp_path, monkeypatch, kind):
    faults, mend = FAULTS[kind]
    file, copy = tmp_path / "a.json", tmp_path / "a: b.json"
    content = json.loads(file.read_text())
    for fault in faults:
        fault(content)
    for path in (file, copy):
        path.write_text(json.dumps(content))
    fresh, other = (
        seen(read_datasets(files, source.images, mend=mend)) for files in ([file], [copy])
    )
    assert len(fresh[1]) == len(faults)
    reads = count_reads(monkeypatch)
    given = Source([file], source.images, mend=mend)
    assert [seen(read_recorded(given, pytest.fail)) for _ in range(3)] == [fresh] * 3
    again = Source([copy], source.images, mend=mend)
    assert seen(read_recorded(again, pytest.fail)) == other, "the file's name is not kept"
    assert len(reads) == 1


def test_remarks_of_several_files_are_kept(source, tmp_path, monkeypatch):
    content = json.loads((tmp_path / "a.json").read_text())
    null_field(content)
    (tmp_path / "b.json").write_text(json.dumps(content))
    without_area(content)
    (tmp_path / "c.json").write_text(json.dumps(content))
    files = [tmp_path / f"{name}.json" for name in "abc"]
    fresh = seen(read_datasets(files, source.images))
    assert len(fresh[1]) == 3
    reads = count_reads(monkeypatch)
    given = Source(files, source.images)
    assert [seen(read_recorded(given, pytest.fail)) for _ in range(2)] == [fresh] * 2
    assert len(reads) == 1


def cut_off(picture):
    picture.write_bytes(picture.read_bytes()[:20])


def elsewhere_and_cut_off(picture):
    (picture.parent / "inner").mkdir()
    cut_off(picture.rename(picture.parent / "inner" / picture.name))


@pytest.mark.parametrize("back", ["1.png", "inner/1.png"])
@pytest.mark.parametrize("loss", [Path.unlink, cut_off, elsewhere_and_cut_off])
def test_what_was_left_out_is_looked_at_again(source, tmp_path, loss, back):
    picture = tmp_path / "pictures" / "1.png"
    data = picture.read_bytes()
    loss(picture)
    mending = Source(source.annotations, source.images, mend=True)
    for _ in range(2):
        found = read_recorded(mending, pytest.fail)
        assert file_names(found) == ["2.png"] and "left out" in found.mended[-1]
        with pytest.raises(DatasetError, match=r"1\.png"):
            read_recorded(source, pytest.fail)
    picture.unlink(missing_ok=True)
    picture = picture.parent / back
    picture.parent.mkdir(exist_ok=True)
    picture.write_bytes(data)
    for _ in range(2):
        assert file_names(read_recorded(mending, pytest.fail)) == [back, "2.png"]


def test_a_picture_that_comes_while_the_set_is_read_is_looked_at_again(
    source, tmp_path, monkeypatch
):
    picture = tmp_path / "pictures" / "1.png"
    data = picture.read_bytes()
    picture.unlink()

    def read(self):
        content = whole(self)
        picture.write_bytes(data)
        return content

    whole = Source.read
    monkeypatch.setattr(Source, "read", read)
    mending = Source(source.annotations, source.images, mend=True)
    assert file_names(read_recorded(mending, pytest.fail)) == ["2.png"]
    assert file_names(read_recorded(mending, pytest.fail)) == ["1.png", "2.png"]


def test_what_is_kept_is_taken_by_many_at_once(source):
    folder = read_recorded(source, pytest.fail).images.folder
    lock = folder.with_name(f"{folder.name}.lock")
    with ThreadPoolExecutor() as pool, kept_records._locked(lock, fcntl.LOCK_SH):
        pool.submit(read_recorded, source, pytest.fail).result(timeout=30)


def test_digests_are_kept_while_they_hold(source, tmp_path, monkeypatch):
    pictures = tmp_path / "pictures"
    hashed = []

    def digest(path, whole=picture_files.file_sha256):
        if path.parent == pictures:
            hashed.append(path.name)
        return whole(path)

    monkeypatch.setattr(picture_files, "file_sha256", digest)

    def digests(mend):
        hashed.clear()
        found = read_recorded(Source(source.annotations, source.images, mend=mend), pytest.fail)
        expected = read_datasets(source.annotations, source.images, mend=mend)
        result = picture_digests(found, print)
        names = sorted(hashed)
        assert result == picture_digests(expected, print)
        return names

    assert [digests(mend=True), digests(mend=True)] == [["1.png", "2.png"], []]
    (pictures / "1.png").write_bytes((pictures / "1.png").read_bytes() + b" ")
    assert [digests(mend=True), digests(mend=True)] == [["1.png"], []]
    one = (pictures / "1.png").rename(tmp_path / "1.png")
    assert digests(mend=True) == []
    one.rename(pictures / "1.png")
    assert [digests(mend=True), digests(mend=True)] == [["1.png"], []]


def test_digests_of_another_reading_do_not_count(source, tmp_path):
    first = read_recorded(source, pytest.fail)
    picture_digests(first, print)
    kept = first.images.folder / "digests"
    before = kept.read_bytes()
    picture = tmp_path / "pictures" / "1.png"
    picture.write_bytes(picture.read_bytes() + b" ")
    again = read_recorded(source, pytest.fail)
    kept.write_bytes(before)  # by a process that began before the picture changed
    assert picture_digests(again, print) == picture_digests(
        read_datasets(source.annotations, source.images), pytest.fail
    )


def test_long_hashing_says_how_far_it_is(source, monkeypatch):
    pauses, said, go_on = [], [], threading.Event()

    def wait(futures, pause, wait=picture_files.wait):
        pauses.append(pause)
        if len(pauses) == 3:
            go_on.set()
        return wait(futures, None, FIRST_COMPLETED if len(pauses) < 3 else ALL_COMPLETED)

    def digest(path, whole=picture_files.file_sha256):
        if path.name == "2.png":
            go_on.wait()
        return whole(path)

    folder = source.images[0].resolve()
    for read in (
        read_recorded(source, pytest.fail),
        read_datasets(source.annotations, source.images),
    ):
        with monkeypatch.context() as changes:
            changes.setattr(picture_files, "wait", wait)
            changes.setattr(picture_files, "file_sha256", digest)
            found = picture_digests(read, said.append)
        assert found == picture_digests(read, print)
        assert pauses == [1, 10, 10], "after the first second, then every ten"
        for line in said:
            assert line.startswith(f"hashing the pictures in {folder}: 1 of 2 in ")
        assert len(said) == 2
        pauses.clear(), said.clear(), go_on.clear()


def test_what_cannot_be_hashed_ends_it_early(source, tmp_path, monkeypatch):
    hashed = []

    def digest(path):
        hashed.append(path.name)
        if path.name == "0.png":
            raise FileNotFoundError(path)
        time.sleep(0.05)

    monkeypatch.setattr(picture_files, "_SOON", 0.01)
    monkeypatch.setattr(picture_files, "file_sha256", digest)
    with pytest.raises(FileNotFoundError):
        picture_files._hash_pictures(tmp_path, [f"{number}.png" for number in range(1000)], print)
    assert len(hashed) < 500


def test_a_folder_that_a_network_drive_cannot_remove_is_replaced(source, tmp_path, monkeypatch):
    # NFS: a file that is mapped gets another name in its folder in place of being removed
    folder = read_recorded(source, pytest.fail).images.folder
    monkeypatch.setattr(shutil, "rmtree", lambda path, *options, **more: None)
    os.utime(tmp_path / "pictures" / "1.png", ns=(0, 1))
    expected = comparable(read_datasets(source.annotations, source.images))
    reads = count_reads(monkeypatch)
    for _ in range(2):
        assert comparable(read_recorded(source, pytest.fail)) == expected
    assert len(reads) == 1
    monkeypatch.undo()
    assert [path for path in folder.parent.glob(f"{folder.name}.*") if path.is_dir()]
    os.utime(tmp_path / "pictures" / "1.png", ns=(0, 2))
    read_recorded(source, pytest.fail)
    assert not [path for path in folder.parent.glob(f"{folder.name}.*") if path.is_dir()]


def test_without_room_for_what_was_read_it_is_read_each_time(source, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kept_records, "write_records", full)
    expected = comparable(read_datasets(source.annotations, source.images))
    for _ in range(2):
        said = []
        assert comparable(read_recorded(source, said.append)) == expected
        assert len(said) == 1 and "No space left" in said[0]
    lock = f"{source.digest()}.lock"
    assert [path.name for path in kept_records.records_folder().glob(f"{source.digest()}*")] == [
        lock
    ]


def test_a_large_file_is_read_by_another_process(source, monkeypatch, tmp_path):
    monkeypatch.setattr(kept_records, "_LARGE", 0)
    said = []
    found = read_recorded(source, said.append)
    assert comparable(found) == comparable(read_datasets(source.annotations, source.images))
    assert said[0].startswith("reading and checking") and said[-1].startswith("read in")
    (tmp_path / "pictures" / "1.png").unlink()
    with pytest.raises(DatasetError, match=r"1\.png") as caught:
        read_recorded(source, said.append)
    assert [problem.kind for problem in caught.value.problems]


def test_a_process_that_is_killed_is_told():
    with pytest.raises(InputError, match="exit code 3"):
        kept_records._in_another_process(os._exit, 3, waiting=pytest.fail)


def test_what_nobody_uses_goes(source, monkeypatch):
    first = read_recorded(source, pytest.fail).images.folder
    os.utime(first, (0, 0))
    other = read_recorded(Source(source.annotations, source.images, ("cup",)), pytest.fail)
    assert not first.exists() and Path(other.images.folder).exists()
