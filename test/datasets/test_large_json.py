# SPDX-License-Identifier: Apache-2.0
import json
import math
from unittest.mock import patch

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from yolact_ros.datasets import large_json
from yolact_ros.datasets.large_json import read_json

texts = st.text(max_size=4) | st.sampled_from(('"', "\\", "\u00e9\u4e16", "\U0001f600", "\ud800"))
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts, values, max_size=4)
spaces = st.sampled_from(("", " ", "\r\n\t  "))


@st.composite
def files(draw, documents=objects | values):
    """The text of a JSON file in one of its styles."""
    text = json.dumps(
        draw(documents),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from((None, 1))),
        separators=(draw(spaces) + "," + draw(spaces), draw(spaces) + ":" + draw(spaces)),
    )
    return draw(spaces) + text + draw(spaces)


def outcome(read, argument):
    try:
        return "read", read(argument)
    except (ValueError, RecursionError) as error:
        return "error", str(error)


@settings(max_examples=300)
@given(
    data=st.builds(
        lambda text, encoding: text.encode(encoding, "surrogatepass"),
        files(),
        st.sampled_from(("utf-8", "utf-8-sig", "utf-16")),
    ),
    piece=st.integers(1, 9),
    damage=st.none() | st.integers(0, 60),
    by=texts,
)
@example(data=b'{"a": [1, 2], "a": [3]}', piece=1, damage=None, by="")
@example(data=b'{"a": [1], }', piece=1, damage=None, by="")
@example(data=b'{"a": [1, ]}', piece=1, damage=None, by="")
@example(data=b'{"a": [1 2]}', piece=1, damage=None, by="")
@example(data=b"{1: [1]}", piece=1, damage=None, by="")
@example(data=b'{"a": 1} {"b": 2}', piece=3, damage=None, by="")
@example(data=b'{"a": [1], "b"', piece=3, damage=None, by="")
@example(data=b'{"a": "' + b"long " * 50 + b'"}', piece=2, damage=None, by="")
@example(data=b'{"a": [[' + b"[" * 100_000, piece=9, damage=None, by="")
@example(data=b'{"a": [' + b"1" * 5000 + b"]}", piece=9, damage=None, by="")
@example(data=b"", piece=1, damage=None, by="")
def test_it_reads_what_json_does_of_the_whole(tmp_path_factory, data, piece, damage, by):
    if damage is not None:
        data = data[:damage] + by.encode("utf-8", "surrogatepass") + data[damage + 1 :]
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_bytes(data)
    with patch.object(large_json, "_PIECE", piece):
        assert outcome(read_json, path) == outcome(json.loads, data)


@settings(max_examples=300)
@given(text=files(objects), piece=st.integers(1, 9))
@example(text='{"a": "' + "long " * 50 + '"}', piece=2)
def test_an_object_is_read_piece_by_piece(tmp_path_factory, text, piece):
    assume("\ud800" not in text)  # no UTF-8
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text(text, encoding="utf-8")
    expected = json.loads(text)
    with patch.object(large_json, "_PIECE", piece), patch.object(json, "loads", None):
        assert read_json(path) == expected


def test_what_is_no_number_is_read_too(tmp_path):
    (tmp_path / "a.json").write_text('{"a": [NaN, -Infinity]}')
    nan, infinity = read_json(tmp_path / "a.json")["a"]
    assert math.isnan(nan) and infinity == -math.inf


def test_equal_keys_are_one_string(tmp_path):
    (tmp_path / "a.json").write_text('{"images": [{"file": 1}, {"file": 2}]}')
    first, second = (next(iter(each)) for each in read_json(tmp_path / "a.json")["images"])
    assert first is second


def test_without_a_file_there_is_nothing(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "a.json")
