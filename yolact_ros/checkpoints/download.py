# SPDX-License-Identifier: Apache-2.0
"""The authors' published weights: where they are kept, and how they are downloaded."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from yolact_ros import __version__
from yolact_ros.errors import InputError, first_line
from yolact_ros.presets import Preset

from .checkpoint import CheckpointError, publish, read_shapes
from .fitting import compare_shapes, describe_fits, expected_shapes, fitting_presets

_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two pieces
_AGENT = f"yolact-ros/{__version__}"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = ".unfinished"


class DownloadError(InputError, OSError):
    """A file that could not be fetched or is not what was expected."""


@dataclass(frozen=True)
class RemoteFile:
    """What a server states about a file; None where it does not.

    Attributes:
        size: In bytes.
        sha256: Of its content, in hexadecimal.
    """

    size: int | None = None
    sha256: str | None = None


def weights_folder() -> Path:
    """Where downloaded weights are kept: $YOLACT_ROS_WEIGHTS, or a folder in the user's cache."""
    if folder := os.environ.get("YOLACT_ROS_WEIGHTS"):
        return Path(folder).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "yolact_ros" / "weights"


def published_file(preset: Preset) -> str | None:
    """Name of the authors' file; None where a program cannot download it."""
    if preset.published is None or not preset.published.weights_url:
        return None
    return urlsplit(preset.published.weights_url).path.rsplit("/", 1)[-1]


def find_weights(preset: Preset, folder: Path | None = None) -> Path | None:
    """Find the file of a preset in the folder of downloaded weights.

    It is the published file or, without it, one named after the preset: PRESET.safetensors,
    PRESET.pth, or PRESET_EPOCH_ITERATION.pth (the last iteration) as the authors' code names them.

    Args:
        preset: The preset.
        folder: Where to look; `weights_folder()` if None.
    """
    folder = weights_folder() if folder is None else folder
    names = [published_file(preset), f"{preset.name}.safetensors", f"{preset.name}.pth"]
    for name in names:
        if name is not None and (folder / name).is_file():
            return folder / name
    numbered = re.compile(re.escape(preset.name) + r"_(\d+)_(\d+)\.pth")
    found = [
        (int(match[1]), int(match[2]), path)
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (match := numbered.fullmatch(path.name))
    ]
    return max(found)[-1] if found else None


def download_weights(
    preset: Preset,
    folder: Path | None = None,
    *,
    endpoint: str | None = None,
    progress: bool = True,
    retries: int = 8,
    overwrite: bool = False,
) -> Path:
    """Download the authors' file of a preset, resuming an earlier attempt that was interrupted.

    The file appears under its name only if its size and checksum are those that the server states
    and its tensors fit the preset.

    Args:
        preset: One whose weights the authors published.
        folder: Where to put it; `weights_folder()` if None. Created if it does not exist.
        endpoint: A mirror of the Hugging Face Hub; the environment variable HF_ENDPOINT or the Hub
            itself if None.
        progress: Whether to show a progress bar on standard error.
        retries: How often to resume when the connection breaks.
        overwrite: Whether to download a file again that is there already.

    Returns:
        The file.

    Raises:
        DownloadError: It cannot be downloaded, or is not the file that it should be.
        CheckpointError: The file that is there already does not fit.
    """
    folder = weights_folder() if folder is None else folder
    name = published_file(preset)
    if name is None:
        raise DownloadError(_without_url(preset, folder))
    path = folder / name
    if path.is_file() and not overwrite:
        _check_fit(path, preset)
        return path
    assert preset.published is not None
    url = _at_endpoint(preset.published.weights_url, endpoint)
    remote = _ask(url, path)
    unfinished = folder / _UNFINISHED / name
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    try:
        sha256 = _fetch(url, unfinished, path, progress, retries)
        _check_content(unfinished, sha256, remote, url)
        _check_fit(unfinished, preset)
        publish(unfinished, path)
    except CheckpointError as error:
        raise DownloadError(f"{url} is not the file that was expected: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
        if not any(unfinished.parent.iterdir()):
            unfinished.parent.rmdir()
    return path


def _ask(url: str, path: Path) -> RemoteFile:
    """Ask the server for size and checksum."""
    try:
        import gdown  # noqa: F401 - before anything is asked for
        import requests
    except ImportError as error:
        raise DownloadError(
            f"expected the Python packages gdown and requests ({error}). Install them, or fetch "
            f"{url} by other means and put the file at {path}"
        ) from error
    try:
        response = requests.head(
            url,
            allow_redirects=True,
            timeout=_TIMEOUT,
            headers={"User-Agent": _AGENT, "Accept-Encoding": "identity"},
        )
    except requests.RequestException as error:
        raise DownloadError(_unreachable(url, path, error)) from error
    if response.status_code in (404, 410):
        raise DownloadError(f"{url}: there is no such file on the server any more")
    # The Hub states a large file's checksum where it redirects to the store that has the content.
    answers = [*response.history, response]
    sha256 = size = None
    for answer in answers:
        tag = answer.headers.get("X-Linked-Etag", "").strip('"')
        sha256 = sha256 or (tag if _SHA256.fullmatch(tag) else None)
        size = size or answer.headers.get("X-Linked-Size")
    tag = response.headers.get("ETag", "").strip('"')
    if response.ok:
        sha256 = sha256 or (tag if _SHA256.fullmatch(tag) else None)
        size = size or response.headers.get("Content-Length")
    return RemoteFile(int(size) if size and size.isdigit() else None, sha256)


def _fetch(url: str, unfinished: Path, path: Path, progress: bool, retries: int) -> str:
    """Download the content to `unfinished` and return its SHA-256."""
    import gdown
    import requests

    def attempt() -> str:
        digest = hashlib.sha256()
        gdown.download(
            url,
            str(unfinished),
            quiet=not progress,
            use_cookies=False,
            resume=True,
            user_agent=_AGENT,
            hasher=digest,
            timeout=_TIMEOUT,
            retries=retries,
            log_messages={"start": "", "output": ""},
        )
        return digest.hexdigest()

    begun = {part: part.stat().st_size for part in _parts(unfinished)}
    # One that was fetched but never checked: nothing says what it is.
    unfinished.unlink(missing_ok=True)
    try:
        try:
            return attempt()
        except (gdown.DownloadError, requests.HTTPError):
            stuck = {part: part.stat().st_size for part in _parts(unfinished)} == begun
            if not any(begun.values()) or not stuck:
                raise
            # The server cannot go on from the middle, or the content is another one by now.
            for part in begun:
                part.unlink(missing_ok=True)
            return attempt()
    except requests.HTTPError as error:
        raise DownloadError(f"{url}: {error}") from error
    except (gdown.DownloadError, requests.RequestException) as error:
        raise DownloadError(_broken_off(url, unfinished, path, error)) from error


def _parts(unfinished: Path) -> list[Path]:
    return sorted(unfinished.parent.glob(f"{unfinished.name}*.part"))


def _check_content(file: Path, sha256: str, remote: RemoteFile, url: str) -> None:
    size = file.stat().st_size
    if remote.size is not None and size != remote.size:
        raise DownloadError(f"{url}: expected {remote.size} bytes, got {size}; nothing was kept")
    if remote.sha256 is not None and sha256 != remote.sha256:
        raise DownloadError(
            f"{url}: expected content with SHA-256 {remote.sha256}, got {sha256}; nothing was kept"
        )


def _check_fit(file: Path, preset: Preset) -> None:
    shapes = read_shapes(file)
    if mismatch := compare_shapes(expected_shapes(preset), shapes):
        raise CheckpointError(
            f"weights: {file} does not fit {preset.name}: {mismatch}; "
            f"{describe_fits(fitting_presets(shapes))}"
        )


def _at_endpoint(url: str, endpoint: str | None) -> str:
    endpoint = endpoint or os.environ.get("HF_ENDPOINT")
    if not endpoint:
        return url
    base = urlsplit(endpoint)
    if base.scheme not in ("http", "https") or not base.netloc:
        raise InputError(f"endpoint: expected an http or https address, got {endpoint!r}")
    return urlunsplit(
        (base.scheme, base.netloc, base.path.rstrip("/") + urlsplit(url).path, "", "")
    )


def _without_url(preset: Preset, folder: Path) -> str:
    page = preset.published.weights_page if preset.published is not None else ""
    if page:
        return (
            f"{preset.name}: no program can fetch the authors' file; see {page}. Put it into "
            f"{folder} as {preset.name}.pth"
        )
    return (
        f"{preset.name}: the authors published no weights for it. Train it, and put the file into "
        f"{folder} as {preset.name}.safetensors or {preset.name}.pth, or name it with --weights"
    )


def _unreachable(url: str, path: Path, error: Exception) -> str:
    return (
        f"cannot reach {urlsplit(url).netloc} ({_reason(error)}). Fetch {url} elsewhere and put "
        f"the file at {path}"
    )


def _broken_off(url: str, unfinished: Path, path: Path, error: Exception) -> str:
    size = sum(part.stat().st_size for part in _parts(unfinished))
    return (
        f"{url}: broken off after {size} bytes ({_reason(error)}). The same command goes on from "
        f"there; or fetch it elsewhere and put the file at {path}"
    )


def _reason(error: Exception) -> str:
    # The innermost cause is the one that says something.
    cause: BaseException = error
    while cause.__context__ is not None:
        cause = cause.__context__
    return first_line(cause).rstrip(".")
