"""Fetching a data set's original files: whole, checked, and never over a file that is there."""

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
"""Seconds before the second attempt; twice as long before each further one."""
_TIMEOUT = (15, 60)
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
_TRY_LATER = {408, 429}


class Download(Options):
    """One original file: where it comes from, and what it is saved as."""

    file: str = Field(pattern=r"^[^/\\\s.][^/\\]*$")
    """Its name in ``raw_dir``."""
    url: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    """Its address, which must not hold a password: addresses are printed."""
    kaggle: str | None = Field(default=None, pattern=r"^[\w-]+/[\w-]+$")
    """The Kaggle data set that holds it under the same name, as owner/dataset."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Its checksum; null leaves it unchecked."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.url is None) == (self.kaggle is None):
            raise ValueError("give url or kaggle, one of them")
        return self

    @property
    def source(self) -> str:
        """The address of the file, or of the page that offers it."""
        return self.url or f"https://www.kaggle.com/datasets/{self.kaggle}"


class Downloads(Options):
    """The whole of a ``downloads.yml``."""

    files: tuple[Download, ...]

    @field_validator("files")
    @classmethod
    def _names_differ(cls, files: tuple[Download, ...]) -> tuple[Download, ...]:
        names = [download.file for download in files]
        if not names:
            raise ValueError("name at least one file")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two entries would be saved as {', '.join(twice)}")
        return files


@dataclass
class Outcome:
    """What came of the files of a data set."""

    folder: Path
    fetched: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    unchecked: dict[str, str] = field(default_factory=dict)
    """The sha256 of each file whose checksum was not known."""
    problems: list[str] = field(default_factory=list)
    """One for each file that could not be had: why, and what to do."""

    def summary(self) -> str:
        """Say what was fetched and kept, where it is, and which checksums can be pinned."""
        lines = [f"{_count(self.fetched)} fetched, {_count(self.kept)} kept, in {self.folder}"]
        if self.unchecked:
            lines.append("Put these into downloads.yml, and the files are checked from then on:")
            lines += [f"  {name}\n    sha256: {found}" for name, found in self.unchecked.items()]
        return "\n".join(lines)


def check_downloads(content: dict[str, Any], name: str) -> Downloads:
    """Check the content of a ``downloads.yml``.

    Args:
        content: what the file holds.
        name: the file, for error messages.

    Raises:
        InputError: naming each wrong key, what was expected and what was found.
    """
    try:
        return Downloads.model_validate(content)
    except ValidationError as error:
        raise InputError(f"wrong downloads ({name}):\n{format_validation_errors(error)}") from error


def download_all(downloads: Downloads, folder: Path) -> Outcome:
    """Fetch the files that are not in the folder yet.

    A file comes to its place in one step when it is whole and its checksum, if it is known,
    is right. A file that cannot be had does not keep the others from being fetched.

    Args:
        downloads: the files.
        folder: where they are kept; it is made if it is missing.

    Returns:
        What was fetched and kept, and a problem for each file that could not be had.
    """
    outcome = Outcome(folder)
    for download in downloads.files:
        path = folder / download.file
        try:
            if path.exists():
                _check_kept(download, path)
                outcome.kept.append(path)
            else:
                _fetch(download, path)
                outcome.fetched.append(path)
            if download.sha256 is None:
                outcome.unchecked[download.file] = pooch.file_hash(str(path))
        except (InputError, OSError) as problem:
            logger.warning("%s: could not be had, told at the end", download.file)
            outcome.problems.append(_told(problem, path))
    return outcome


def _told(problem: InputError | OSError, path: Path) -> str:
    return f"{path}: {problem.strerror}" if isinstance(problem, OSError) else str(problem)


def _check_kept(download: Download, path: Path) -> None:
    if wrong := _what_is_wrong(download, path):
        raise InputError(
            f"{path} is there already, and {wrong}\n"
            f"  It was left as it is. Delete it and run this again to fetch it from\n"
            f"  {download.source}"
        )
    logger.info("%s: is there already, kept", download.file)


def _fetch(download: Download, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, so that the rename is one step of the file system.
    with tempfile.TemporaryDirectory(prefix=".download-", dir=path.parent) as temporary:
        part = Path(temporary) / path.name
        if download.url is not None:
            _fetch_address(download, download.url, part, path)
        else:
            _fetch_from_kaggle(download, part, path)
        if wrong := _what_is_wrong(download, part):
            raise InputError(
                f"{path.name}: what came {wrong}\n"
                f"  address: {download.source}\n"
                f"  Nothing was saved at {path}. If the source has changed, downloads.yml must too."
            )
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    logger.info("%s: fetched, %s", download.file, _size(path.stat().st_size))


def _fetch_address(download: Download, url: str, part: Path, path: Path) -> None:
    def look_at(response: requests.Response, **_: Any) -> None:
        """Refuse what another attempt would not change, before the body is read."""
        if response.is_redirect:
            return
        status = response.status_code
        if 400 <= status < 500 and status not in _TRY_LATER:
            response.close()
            raise InputError(
                f"{path.name}: the server says {status} {response.reason}\n"
                f"  address: {url}\n"
                f"  If it has moved, put its new address into downloads.yml, or fetch it by hand\n"
                f"  and put it at {path}"
            )
        if path.suffix == ".gz":
            # Servers that call a stored gzip file an encoding would have it unpacked in passing.
            response.raw.headers.pop("Content-Encoding", None)
        size = response.headers.get("Content-Length")
        logger.info(
            "%s: fetching %s from %s",
            path.name,
            "an unknown size" if size is None else _size(int(size)),
            url,
        )
        free = shutil.disk_usage(part.parent).free
        if size is not None and int(size) > free:
            response.close()
            raise InputError(
                f"{path.name} needs {_size(int(size))}, and the disk of {path.parent}\n"
                f"  has {_size(free)} free: make room, or name another folder with --raw-dir"
            )

    get = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=_CHUNK,
        timeout=_TIMEOUT,
        headers={"Accept-Encoding": "identity"},
        hooks={"response": look_at},
    )
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            logger.warning("%s: %s; starting again", path.name, reason)
            time.sleep(FIRST_WAIT * 2 ** (attempt - 1))
        try:
            get(url, str(part), None)
            return
        except requests.RequestException as error:
            reason = _reason(error, part)
    raise InputError(
        f"{path.name}: {reason} ({ATTEMPTS} attempts)\n"
        f"  address: {url}\n"
        f"  Run this again later, or fetch it by hand and put it at {path}"
    )


def _reason(error: requests.RequestException, part: Path) -> str:
    """Say in a few words what went wrong on the way."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server says {error.response.status_code} {error.response.reason}"
    if part.exists() and (came := part.stat().st_size):
        return f"the transfer broke off after {_size(came)}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the transfer broke off"
    if isinstance(error, requests.Timeout):
        return "the server does not answer"
    cause = getattr(error.args[0], "reason", error) if error.args else error
    return f"the server cannot be reached: {str(cause).rsplit(': ', 1)[-1]}"


def _fetch_from_kaggle(download: Download, part: Path, path: Path) -> None:
    by_hand = (
        f"  Or download it in a browser from {download.source}\n  and put it, unpacked, at {path}"
    )
    log_in = (
        "  log in: `kaggle auth login`, or KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY,\n"
        "  or ~/.kaggle/kaggle.json (https://www.kaggle.com/settings/api); then run this again."
    )
    # Beside the interpreter as well: the environment need not be activated.
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    client = shutil.which("kaggle", path=places)
    if client is None:
        raise InputError(
            f"{path.name} is on Kaggle, and Kaggle's client, `kaggle`, is not installed\n"
            f"  Install it, `{sys.executable} -m pip install kaggle`, and\n{log_in}\n{by_hand}"
        )
    logger.info("%s: fetching it from %s", path.name, download.source)
    folder = part.parent / "kaggle"
    folder.mkdir()
    arguments = ["datasets", "download", str(download.kaggle), "-f", path.name, "-p", str(folder)]
    # It looks for credentials itself, and shows its own progress and errors.
    status = subprocess.run([client, *arguments], check=False).returncode
    # Large files come packed, whichever name the archive has.
    came = next((file for file in folder.rglob("*") if file.is_file()), None)
    if status != 0 or came is None:
        raise InputError(
            f"{path.name}: Kaggle's client did not fetch it (exit code {status}); see above why\n"
            f"  Without credentials,\n{log_in}\n{by_hand}"
        )
    if not zipfile.is_zipfile(came):
        came.replace(part)
        return
    with zipfile.ZipFile(came) as archive:
        if path.name not in archive.namelist():
            raise InputError(
                f"{path.name} is not in the archive that Kaggle gave, {came.name}: it holds\n"
                f"  {', '.join(archive.namelist()[:5])}\n{by_hand}"
            )
        with archive.open(path.name) as packed, part.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, _CHUNK)


def _what_is_wrong(download: Download, path: Path) -> str | None:
    """Say what is wrong with a file, None if nothing is."""
    with path.open("rb") as file:
        start = file.read(40)
    if download.file.endswith(".gz") and not start.startswith(_GZIP):
        return f"is not gzip, though its name says so: it begins with {start!r}"
    if download.sha256 is None:
        return None
    found = pooch.file_hash(str(path))
    if found == download.sha256:
        return None
    return f"has another checksum\n  expected {download.sha256}\n  found    {found}"


def _count(files: list[Path]) -> str:
    size = f" ({_size(sum(file.stat().st_size for file in files))})" if files else ""
    return f"{len(files)} file{'' if len(files) == 1 else 's'}{size}"


def _size(size: int) -> str:
    return tqdm.format_sizeof(size, suffix="B")
