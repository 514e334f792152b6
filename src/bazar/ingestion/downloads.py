"""Download and verify the original files of a data set. Existing files are never overwritten."""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pooch
import requests
from pydantic import Field, ValidationError, field_validator, model_validator
from tqdm import tqdm

from bazar.config.base import Options, format_validation_errors
from bazar.errors import InputError

logger = logging.getLogger(__name__)

ATTEMPTS = 3
FIRST_WAIT = 1.0
"""Seconds before the second attempt. The waiting time doubles before each further attempt."""
_TIMEOUT = (15, 60)
"""Seconds to connect, and to receive the next bytes."""
_CHUNK_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_RETRY_STATUS = {408, 429}
"""Client errors that are retried: request timeout and too many requests."""


class Download(Options):
    """An original file: its name in ``raw_dir`` and its source."""

    file: str = Field(pattern=r"^[^/\\\s.][^/\\]*$")
    """Name of the file in ``raw_dir``."""
    url: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    """URL of the file. It must not contain a password, because URLs are printed."""
    kaggle: str | None = Field(default=None, pattern=r"^[\w-]+/[\w-]+$")
    """Kaggle data set that contains a file of the same name: owner/dataset."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Checksum of the file. null: the file is not verified."""

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if (self.url is None) == (self.kaggle is None):
            found = "neither" if self.url is None else "both"
            raise ValueError(f"set either url or kaggle, found {found}")
        return self

    @property
    def source(self) -> str:
        """URL of the file, or of its page on Kaggle."""
        return self.url or f"https://www.kaggle.com/datasets/{self.kaggle}"


class Downloads(Options):
    """Content of a ``downloads.yml``."""

    files: tuple[Download, ...]

    @field_validator("files")
    @classmethod
    def _check_names(cls, files: tuple[Download, ...]) -> tuple[Download, ...]:
        names = [download.file for download in files]
        if not names:
            raise ValueError("must list at least one file")
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"several entries would be saved as {', '.join(repeated)}")
        return files


@dataclass
class DownloadResult:
    """Result of :func:`download_all`: the downloaded files, the kept files and the problems."""

    folder: Path
    downloaded: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    unchecked: dict[str, str] = field(default_factory=dict)
    """The sha256 of each file without a known checksum."""
    problems: list[str] = field(default_factory=list)
    """A message for each file that could not be downloaded: the reason, and what to do."""

    def summary(self) -> str:
        """Return the numbers of files, the folder, and the checksums to add, as text."""
        downloaded, kept = _format_count(self.downloaded), _format_count(self.kept)
        lines = [f"{downloaded} downloaded, {kept} kept, in {self.folder}"]
        if self.unchecked:
            lines.append("Add these checksums to downloads.yml, so that the files are verified:")
            lines += [f"  {name}\n    sha256: {found}" for name, found in self.unchecked.items()]
        return "\n".join(lines)


def check_downloads(content: dict[str, Any], name: str) -> Downloads:
    """Validate the content of a ``downloads.yml``.

    Args:
        content: the parsed file.
        name: name of the file, for error messages.

    Raises:
        InputError: if a key is unknown or a value is invalid. The message contains the expected
            and the found value.
    """
    try:
        return Downloads.model_validate(content)
    except ValidationError as error:
        raise InputError(
            f"{name} is invalid:\n{format_validation_errors(error, Downloads)}"
        ) from error


def download_all(downloads: Downloads, folder: Path) -> DownloadResult:
    """Download the files that are not in the folder yet.

    A file is moved into the folder in one step when it is complete and its checksum, if known, is
    correct. If one file fails, the other files are still downloaded.

    Args:
        downloads: the files.
        folder: the folder, which is created if it is missing.

    Returns:
        The downloaded and the kept files, and a problem for each file that could not be downloaded.
    """
    result = DownloadResult(folder)
    for download in downloads.files:
        path = folder / download.file
        try:
            if path.exists():
                _check_kept(download, path)
                result.kept.append(path)
            else:
                _download(download, path)
                result.downloaded.append(path)
            if download.sha256 is None:
                result.unchecked[download.file] = pooch.file_hash(str(path))
        except (InputError, OSError) as problem:
            logger.warning("%s: could not be downloaded. See the reason at the end", download.file)
            result.problems.append(_format_problem(problem, path))
    return result


def _format_problem(problem: InputError | OSError, path: Path) -> str:
    return f"{path}: {problem.strerror}" if isinstance(problem, OSError) else str(problem)


def _check_kept(download: Download, path: Path) -> None:
    if problem := _find_problem(download, path):
        raise InputError(
            f"{path} already exists, but {problem}\n"
            f"  It was not changed. To download it again, delete it and repeat the command.\n"
            f"  URL: {download.source}"
        )
    logger.info("%s: already exists, kept", download.file)


def _download(download: Download, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, so that the rename is a single operation of the file system.
    with tempfile.TemporaryDirectory(prefix=".download-", dir=path.parent) as temporary:
        part = Path(temporary) / path.name
        if download.url is not None:
            _download_address(download, download.url, part, path)
        else:
            _download_from_kaggle(download, part, path)
        if problem := _find_problem(download, part):
            raise InputError(
                f"{path.name}: the downloaded file {problem}\n"
                f"  URL: {download.source}\n"
                f"  Nothing was saved at {path}. If the source has changed, update downloads.yml."
            )
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    logger.info("%s: downloaded, %s", download.file, _format_size(path.stat().st_size))


def _download_address(download: Download, url: str, part: Path, path: Path) -> None:
    def check_response(response: requests.Response, **_: Any) -> None:
        _check_response(response, url, part, path)

    get = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=_CHUNK_BYTES,
        timeout=_TIMEOUT,
        headers={"Accept-Encoding": "identity"},
        hooks={"response": check_response},
    )
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            logger.warning("%s: %s. Trying again", path.name, reason)
            time.sleep(FIRST_WAIT * 2 ** (attempt - 1))
        try:
            get(url, str(part), None)
            return
        except requests.RequestException as error:
            reason = _describe_failure(error, part)
    raise InputError(
        f"{path.name}: {reason} ({ATTEMPTS} attempts)\n"
        f"  URL: {url}\n"
        f"  Repeat the command later, or download the file yourself and save it as {path}"
    )


def _check_response(response: requests.Response, url: str, part: Path, path: Path) -> None:
    """Raise InputError before the body is read, if another attempt would have the same result."""
    if response.is_redirect:
        return
    status = response.status_code
    if 400 <= status < 500 and status not in _RETRY_STATUS:
        response.close()
        raise InputError(
            f"{path.name}: the server responds {status} {response.reason}\n"
            f"  URL: {url}\n"
            f"  If the file has moved, set its new URL in downloads.yml, or download it\n"
            f"  yourself and save it as {path}"
        )
    if path.suffix == ".gz":
        # Some servers declare a gzip file as a content encoding. It would be decompressed.
        response.raw.headers.pop("Content-Encoding", None)
    header = response.headers.get("Content-Length")
    size = None if header is None else int(header)
    shown = "an unknown size" if size is None else _format_size(size)
    logger.info("%s: downloading %s from %s", path.name, shown, url)
    free = shutil.disk_usage(part.parent).free
    if size is not None and size > free:
        response.close()
        raise InputError(
            f"{path.name} needs {_format_size(size)}, but the disk of {path.parent}\n"
            f"  has only {_format_size(free)} free. Free disk space, or set another folder with "
            "--raw-dir."
        )


def _describe_failure(error: requests.RequestException, part: Path) -> str:
    """Return a short description of a failed transfer."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server responds {error.response.status_code} {error.response.reason}"
    if part.exists() and (received := part.stat().st_size):
        return f"the transfer was interrupted after {_format_size(received)}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the transfer was interrupted"
    if isinstance(error, requests.Timeout):
        return "the server does not respond"
    cause = getattr(error.args[0], "reason", error) if error.args else error
    return f"the server cannot be reached: {str(cause).rsplit(': ', 1)[-1]}"


def _download_from_kaggle(download: Download, part: Path, path: Path) -> None:
    by_hand = (
        f"  Or download it in a browser from {download.source}\n  and save it, extracted, as {path}"
    )
    log_in = (
        "  log in with `kaggle auth login`, KAGGLE_API_TOKEN, KAGGLE_USERNAME and KAGGLE_KEY, or\n"
        "  ~/.kaggle/kaggle.json (https://www.kaggle.com/settings/api). Then repeat the command."
    )
    # The folder of the interpreter is searched too, in case the environment is not activated.
    search_path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    client = shutil.which("kaggle", path=search_path)
    if client is None:
        raise InputError(
            f"{path.name} is on Kaggle, but the Kaggle client `kaggle` is not installed\n"
            f"  Install it with `{sys.executable} -m pip install kaggle`, and\n{log_in}\n{by_hand}"
        )
    logger.info("%s: downloading from %s", path.name, download.source)
    folder = part.parent / "kaggle"
    folder.mkdir()
    arguments = ["datasets", "download", str(download.kaggle), "-f", path.name, "-p", str(folder)]
    # The client reads the credentials and shows the progress and the errors.
    status = subprocess.run([client, *arguments], check=False).returncode
    # Large files are zipped. The name of the archive varies.
    received = next((file for file in folder.rglob("*") if file.is_file()), None)
    if status != 0 or received is None:
        raise InputError(
            f"{path.name}: the Kaggle client failed (exit code {status}). See its message above.\n"
            f"  If you are not logged in,\n{log_in}\n{by_hand}"
        )
    if not zipfile.is_zipfile(received):
        received.replace(part)
        return
    with zipfile.ZipFile(received) as archive:
        if path.name not in archive.namelist():
            raise InputError(
                f"{path.name} is not in the archive from Kaggle, {received.name}, which contains\n"
                f"  {', '.join(archive.namelist()[:5])}\n{by_hand}"
            )
        with archive.open(path.name) as packed, part.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, _CHUNK_BYTES)


def _find_problem(download: Download, path: Path) -> str | None:
    """Return a description of the problem of a file, or None if there is none."""
    with path.open("rb") as file:
        start = file.read(40)
    if download.file.endswith(".gz") and not start.startswith(_GZIP):
        return f"is not a gzip file, despite its name. It begins with {start!r}"
    if download.sha256 is None:
        return None
    found = pooch.file_hash(str(path))
    if found == download.sha256:
        return None
    return f"has a different checksum\n  expected {download.sha256}\n  found    {found}"


def _format_count(files: list[Path]) -> str:
    size = f" ({_format_size(sum(file.stat().st_size for file in files))})" if files else ""
    return f"{len(files)} file{'' if len(files) == 1 else 's'}{size}"


def _format_size(size: int) -> str:
    return tqdm.format_sizeof(size, suffix="B")
