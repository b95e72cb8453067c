# SPDX-License-Identifier: Apache-2.0
"""The report as one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from yolact_ros.web.style import STYLE

from .pictures import Comparison

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

_FIGURES = (
    ("ap", "AP", "mean over IoU 0.50 to 0.95"),
    ("ap50", "AP50", "at IoU 0.50"),
    ("ap75", "AP75", "at IoU 0.75"),
    ("ap_small", "AP small", "objects below 32² pixels"),
    ("ap_medium", "AP medium", "32² to 96² pixels"),
    ("ap_large", "AP large", "above 96² pixels"),
    ("ar_1", "AR 1", "recall with one instance an image"),
    ("ar_10", "AR 10", "with ten"),
    ("ar_100", "AR 100", "with a hundred"),
    ("ar_small", "AR small", "recall of small objects"),
    ("ar_medium", "AR medium", "of medium ones"),
    ("ar_large", "AR large", "of large ones"),
)
_STAGES = {"read": "reading the file", "total": "image to instances"}
_MOST_IN_COLUMN = 30
"""Classes whose confusion matrix is drawn no wider than text."""
_LONG_METADATA = "preset_definition"


def render_page(
    summary: Mapping[str, Any],
    *,
    precision_recall: Sequence[bytes],
    confusion: bytes,
    comparisons: Sequence[Comparison],
) -> str:
    """The page.

    Args:
        summary: The content of metrics.json.
        precision_recall: PNG files of the curves.
        confusion: PNG file of the matrix.
        comparisons: The worst images, worst first.
    """
    preset = summary["network"]["preset"]
    sections = [
        _head(summary),
        _section("COCO's figures", _figures(summary)),
        _section("Classes", _classes(summary)),
        _section("Precision over recall", _curves(precision_recall)),
        _section("Confusion", _confusion(summary, confusion)),
        _section("Speed", _speed(summary)),
        _section("Worst images", _worst(summary, comparisons)),
        _section("What was measured", _provenance(summary)),
    ]
    return _PAGE.format(
        title=escape(f"Evaluation of {preset}"), style=STYLE, body="\n".join(sections)
    )


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{content}\n</section>"


def _head(summary: Mapping[str, Any]) -> str:
    counts, point, speed = summary["counts"], summary["operating_point"], summary["speed"]
    at_score = f"at score {point['score']:g}"
    cards = [
        (_figure(summary["mask"]["ap"]), "mask AP"),
        (_figure(summary["mask"]["ap50"]), "mask AP50"),
        (_figure(summary["box"]["ap"]), "box AP"),
        (f"{point['recall']:.1%}", f"of objects found {at_score}"),
        (f"{point['precision']:.1%}", f"of instances right {at_score}"),
        (f"{speed['images_per_second']:.1f}", "images a second"),
    ]
    crowds = f" and {counts['crowds']} crowd regions" if counts["crowds"] else ""
    return "\n".join(
        [
            f"<h1>Evaluation of {escape(summary['network']['preset'])}</h1>",
            f'<p class="soft">{counts["images"]} images with {counts["objects"]} objects{crowds} '
            f"of {len(counts['objects_per_class'])} classes from "
            f"{escape(summary['data']['annotations'])}</p>",
            *_notices(counts),
            '<div class="cards">',
            *(
                f'<div class="card"><b>{escape(value)}</b><span>{escape(label)}</span></div>'
                for value, label in cards
            ),
            "</div>",
        ]
    )


def _notices(counts: Mapping[str, Any]) -> Iterable[str]:
    if counts["unknown_classes"]:
        names = escape(", ".join(counts["unknown_classes"]))
        yield f'<p class="notice">The network does not know {names}: counted as never found.</p>'
    if counts["left_out"]:
        names = escape(", ".join(f"{name} ×{count}" for name, count in counts["left_out"].items()))
        yield (
            f'<p class="notice">Left out, as the data set has no such classes: {names} '
            "(instances).</p>"
        )


def _figures(summary: Mapping[str, Any]) -> str:
    sizes = summary["counts"]["objects_per_size"]
    text = (
        "Average precision (AP) and average recall (AR), 0 to 1; – where there is no such object. "
        f"Of the objects {sizes['small']} are small, {sizes['medium']} medium and "
        f"{sizes['large']} large."
    )
    rows = [
        [
            f'{name} <span class="soft">{escape(meaning)}</span>',
            _figure(summary["mask"][key]),
            _figure(summary["box"][key]),
        ]
        for key, name, meaning in _FIGURES
    ]
    halves = (
        _table(["", "mask", "box"], half)
        for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :])
    )
    return f'<p class="soft">{text}</p>\n<div class="columns">{"".join(halves)}</div>'


def _classes(summary: Mapping[str, Any]) -> str:
    mask, box = summary["mask"], summary["box"]
    rows = [
        [
            escape(name),
            str(count),
            _bar(mask["ap_per_class"][name]),
            _figure(mask["ap50_per_class"][name]),
            _figure(mask["ar_per_class"][name]),
            _figure(box["ap_per_class"][name]),
        ]
        for name, count in summary["counts"]["objects_per_class"].items()
    ]
    titles = ["class", "objects", "mask AP", "mask AP50", "mask AR", "box AP"]
    return _table(titles, rows, bars=(2,))


def _curves(pngs: Iterable[bytes]) -> str:
    images = (_image("png", png, "precision over recall") for png in pngs)
    return f'<div class="columns">{"".join(images)}</div>'


def _confusion(summary: Mapping[str, Any], png: bytes) -> str:
    point = summary["operating_point"]
    objects = point["right"] + point["confused"] + point["missed"]
    text = (
        f"Instances with a score of {point['score']:g} or more, paired with the objects that their "
        f"masks cover with an IoU of {point['iou']:g} or more, whatever the class. Of {objects} "
        f"objects, {point['right']} were found with the right class (mean mask IoU "
        f"{point['mean_iou']:.3f}), {point['confused']} with another, and {point['missed']} were "
        f"missed; {point['invented']} instances are of no object, or of one found already."
    )
    image = _image("png", png, "confusion matrix")
    few = len(point["classes"]) <= _MOST_IN_COLUMN
    return f'<p>{text}</p>\n<div class="{"matrix" if few else ""}">{image}</div>'


def _speed(summary: Mapping[str, Any]) -> str:
    machine, stages = summary["machine"], summary["speed"]["milliseconds"]
    longest = max((times["median"] for times in stages.values()), default=1) or 1
    rows = [
        [
            escape(_STAGES.get(stage, stage)),
            _bar(times["median"] / longest, f"{times['median']:.1f}"),
            f"{times['p95']:.1f}",
        ]
        for stage, times in stages.items()
    ]
    text = (
        f"Milliseconds an image on {machine['name']} ({machine['device']}, {machine['precision']}, "
        f"threads: {machine['threads']}), {machine['batch_size']} at once."
    )
    table = _table(["stage", "median", "95th percentile"], rows, bars=(1,))
    return f'<p class="soft">{escape(text)}</p>\n{table}'


def _worst(summary: Mapping[str, Any], comparisons: Sequence[Comparison]) -> str:
    if not comparisons:
        return "<p>None: in every image all objects were found exactly.</p>"
    score = summary["operating_point"]["score"]
    text = (
        f"By panoptic quality with a score of {score:g} or more: the mask IoU of what was found "
        "rightly, over its number plus half of what was missed and half of what was invented. "
        "Left the truth, right what was found. Red frames mark what was missed on the left, and on "
        "the right what is invented or of the wrong class."
    )
    return f'<p class="soft">{text}</p>\n' + "\n".join(
        f"<figure>\n<figcaption><b>{escape(comparison.match.image.file_name)}</b> · quality "
        f"{comparison.match.quality:.2f} · {escape(comparison.words)}</figcaption>\n"
        f'<div class="pair">{_image("jpeg", comparison.truth, "truth")}'
        f"{_image('jpeg', comparison.found, 'found')}</div>\n</figure>"
        for comparison in comparisons
    )


def _provenance(summary: Mapping[str, Any]) -> str:
    weights, data = summary["weights"], summary["data"]
    entries = {
        "weights": weights["file"],
        "their SHA-256": weights["sha256"],
        "annotations": data["annotations"],
        "their SHA-256 ": data["sha256"],
        "images": data["images"],
        "network": _listing(
            {key: value for key, value in summary["network"].items() if key != "class_names"}
        ),
        "versions": _listing(summary["versions"]),
        "written": summary["written"],
    }
    origin = {key: value for key, value in weights["metadata"].items() if key != _LONG_METADATA}
    details = (
        f"<details><summary>What the weights file says of itself</summary>{_entries(origin)}"
        "</details>"
        if origin
        else ""
    )
    return f"{_entries(entries)}\n<pre>{escape(summary['command'])}</pre>\n{details}"


def _listing(values: Mapping[str, Any]) -> str:
    shown = {
        key: ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        for key, value in values.items()
    }
    return " · ".join(f"{key} {value}" for key, value in shown.items() if value != "")


def _entries(values: Mapping[str, str]) -> str:
    lines = (
        f"<dt>{escape(key.strip())}</dt><dd>{escape(value)}</dd>" for key, value in values.items()
    )
    return f"<dl>{''.join(lines)}</dl>"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], bars: Sequence[int] = ()) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    lines = (
        "<tr>"
        + "".join(
            f'<td class="bar">{cell}</td>' if column in bars else f"<td>{cell}</td>"
            for column, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _figure(value: float) -> str:
    return "–" if value < 0 else f"{value:.3f}"


def _bar(part: float, text: str | None = None) -> str:
    style = f'style="--part: {100 * part:.1f}%"' if part > 0 else 'class="none"'
    shown = escape(_figure(part) if text is None else text)
    return f'<div class="track"><i {style}></i><span>{shown}</span></div>'


def _image(kind: str, data: bytes, alternative: str) -> str:
    encoded = base64.b64encode(data).decode("ascii")
    return f'<img alt="{escape(alternative)}" src="data:image/{kind};base64,{encoded}">'
