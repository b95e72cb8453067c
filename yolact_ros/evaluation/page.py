# SPDX-License-Identifier: Apache-2.0
"""The report as one HTML page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from yolact_ros.web import (
    Html,
    bar,
    cards,
    definitions,
    image,
    paragraph,
    render_page,
    section,
    table,
)

from .pictures import Comparison

_METRICS = (
    ("ap", "AP", "mean over IoU 0.50 to 0.95"),
    ("ap50", "AP50", "at IoU 0.50"),
    ("ap75", "AP75", "at IoU 0.75"),
    ("ap_small", "AP small", "objects below 32² pixels"),
    ("ap_medium", "AP medium", "32² to 96² pixels"),
    ("ap_large", "AP large", "above 96² pixels"),
    ("ar_1", "AR 1", "recall with one instance per image"),
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


def render_report(
    summary: Mapping[str, Any],
    *,
    precision_recall: Sequence[bytes],
    confusion: bytes,
    comparisons: Sequence[Comparison],
) -> str:
    """Render the page.

    Args:
        summary: The content of metrics.json.
        precision_recall: PNG files of the curves.
        confusion: PNG file of the matrix.
        comparisons: The worst images, worst first.
    """
    parts = [
        _head(summary),
        section("COCO metrics", _metrics(summary)),
        section("Classes", _classes(summary)),
        section("Precision over recall", _curves(precision_recall)),
        section("Confusion", _confusion(summary, confusion)),
        section("Speed", _speed(summary)),
        section("Worst images", _worst(summary, comparisons)),
        section("What was measured", _provenance(summary)),
    ]
    return render_page(f"Evaluation of {summary['network']['preset']}", parts)


def _head(summary: Mapping[str, Any]) -> Html:
    counts, point, speed = summary["counts"], summary["operating_point"], summary["speed"]
    at_score = f"at score {point['score']:g}"
    values = [
        (_metric(summary["mask"]["ap"]), "mask AP"),
        (_metric(summary["mask"]["ap50"]), "mask AP50"),
        (_metric(summary["box"]["ap"]), "box AP"),
        (_share(point["recall"]), f"of objects found {at_score}"),
        (_share(point["precision"]), f"of instances correct {at_score}"),
        (f"{speed['images_per_second']:.1f}", "images per second"),
    ]
    crowds = f" and {counts['crowds']} crowd regions" if counts["crowds"] else ""
    text = (
        f"{counts['images']} images with {counts['objects']} objects{crowds} of "
        f"{len(counts['objects_per_class'])} classes from {summary['data']['annotations']}"
    )
    return Html("\n".join([paragraph(text, "soft"), *_notices(counts), cards(values)]))


def _notices(counts: Mapping[str, Any]) -> Iterable[Html]:
    if not counts["objects"]:
        what = "crowd regions alone" if counts["crowds"] else "images without annotations"
        yield paragraph(
            f"Nothing to find: {what}. What is found outside of them is wrong.", "notice"
        )
    if counts["unknown_classes"]:
        names = ", ".join(counts["unknown_classes"])
        yield paragraph(f"The network does not know {names}: counted as never found.", "notice")
    if counts["left_out"]:
        names = ", ".join(f"{name} ×{count}" for name, count in counts["left_out"].items())
        text = f"Left out, as the data set has no such classes: {names} (instances)."
        yield paragraph(text, "notice")


def _metrics(summary: Mapping[str, Any]) -> Html:
    sizes = summary["counts"]["objects_per_size"]
    text = (
        "Average precision (AP) and average recall (AR), 0 to 1; – where there is no such object. "
        f"{sizes['small']} objects are small, {sizes['medium']} medium and {sizes['large']} large."
    )
    rows = [
        [
            Html(f'{name} <span class="soft">{escape(meaning)}</span>'),
            _metric(summary["mask"][key]),
            _metric(summary["box"][key]),
        ]
        for key, name, meaning in _METRICS
    ]
    middle = len(rows) // 2
    halves = (table(["", "mask", "box"], half) for half in (rows[:middle], rows[middle:]))
    return Html(f'{paragraph(text, "soft")}\n<div class="columns">{"".join(halves)}</div>')


def _classes(summary: Mapping[str, Any]) -> Html:
    mask, box = summary["mask"], summary["box"]
    rows = [
        [
            name,
            str(count),
            bar(mask["ap_per_class"][name], _metric(mask["ap_per_class"][name])),
            _metric(mask["ap50_per_class"][name]),
            _metric(mask["ar_per_class"][name]),
            _metric(box["ap_per_class"][name]),
        ]
        for name, count in summary["counts"]["objects_per_class"].items()
    ]
    titles = ["class", "objects", "mask AP", "mask AP50", "mask AR", "box AP"]
    return table(titles, rows, bars=(2,))


def _curves(pngs: Iterable[bytes]) -> Html:
    images = (image("png", png, "precision over recall") for png in pngs)
    return Html(f'<div class="columns">{"".join(images)}</div>')


def _confusion(summary: Mapping[str, Any], png: bytes) -> Html:
    point = summary["operating_point"]
    objects = point["right"] + point["confused"] + point["false_negatives"]
    text = (
        f"Instances with a score of {point['score']:g} or more, each matched to the object that "
        f"its mask covers with an IoU of {point['iou']:g} or more, whatever the class. Of "
        f"{objects} objects, {point['right']} were found with the right class (mean mask IoU "
        f"{point['mean_iou']:.3f}) and {point['confused']} with another; "
        f"{point['false_negatives']} are false negatives (missed). {point['false_positives']} "
        "instances are false positives: they match no object, or one that was found already."
    )
    few = len(point["classes"]) <= _MOST_IN_COLUMN
    matrix = image("png", png, "confusion matrix")
    return Html(f'{paragraph(text)}\n<div class="{"matrix" if few else ""}">{matrix}</div>')


def _speed(summary: Mapping[str, Any]) -> Html:
    machine, stages = summary["machine"], summary["speed"]["milliseconds"]
    longest = max((times["median"] for times in stages.values()), default=1) or 1
    rows = [
        [
            _STAGES.get(stage, stage),
            bar(times["median"] / longest, f"{times['median']:.1f}"),
            f"{times['p95']:.1f}",
        ]
        for stage, times in stages.items()
    ]
    text = (
        f"Milliseconds per image on {machine['name']} ({machine['device']}, "
        f"{machine['precision']}, threads: {machine['threads']}), batch size "
        f"{machine['batch_size']}."
    )
    timings = table(["stage", "median", "95th percentile"], rows, bars=(1,))
    return Html(f"{paragraph(text, 'soft')}\n{timings}")


def _worst(summary: Mapping[str, Any], comparisons: Sequence[Comparison]) -> Html:
    if not comparisons:
        return paragraph("None: in every image all objects were found exactly.")
    score = summary["operating_point"]["score"]
    text = (
        f"By panoptic quality at score {score:g}: the sum of the mask IoU of correct instances, "
        "divided by their number plus half the false negatives and half the false positives. The "
        "truth is on the left, the result on the right. Red frames mark false negatives on the "
        "left, and false positives and wrong classes on the right."
    )
    return Html("\n".join([paragraph(text, "soft"), *map(_comparison, comparisons)]))


def _comparison(comparison: Comparison) -> Html:
    return Html(
        f"<figure>\n<figcaption><b>{escape(comparison.match.image.file_name)}</b> · quality "
        f"{comparison.match.quality:.2f} · {escape(comparison.words)}</figcaption>\n"
        f'<div class="pair">{image("jpeg", comparison.truth, "truth")}'
        f"{image('jpeg', comparison.found, 'found')}</div>\n</figure>"
    )


def _provenance(summary: Mapping[str, Any]) -> Html:
    weights, data = summary["weights"], summary["data"]
    network = {key: value for key, value in summary["network"].items() if key != "class_names"}
    entries = [
        ("weights", weights["file"]),
        ("SHA-256 of the weights", weights["sha256"]),
        ("annotations", data["annotations"]),
        ("SHA-256 of the annotations", data["sha256"]),
        ("images", data["images"]),
        ("network", _listing(network)),
        ("versions", _listing(summary["versions"])),
        ("written", summary["written"]),
    ]
    origin = [item for item in weights["metadata"].items() if item[0] != _LONG_METADATA]
    details = (
        f"<details><summary>Metadata in the weights file</summary>{definitions(origin)}</details>"
        if origin
        else ""
    )
    return Html(f"{definitions(entries)}\n<pre>{escape(summary['command'])}</pre>\n{details}")


def _listing(values: Mapping[str, Any]) -> str:
    shown = {
        key: ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        for key, value in values.items()
    }
    return " · ".join(f"{key} {value}" for key, value in shown.items() if value != "")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _metric(value: float) -> str:
    return "–" if value < 0 else f"{value:.3f}"
