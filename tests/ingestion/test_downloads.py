"""Downloads from a real server on this machine."""

import gzip
import hashlib
import os
import random
import socket
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from kedro.config import OmegaConfigLoader

from bazar.config.data import IngestionOptions
from bazar.errors import InputError
from bazar.ingestion import downloads
from bazar.ingestion.downloads import DownloadResult, check_downloads, download_all
from bazar.settings import CONFIG_LOADER_ARGS
from tests.project import ROOT, copy_project, kedro_here

# Larger than a chunk, because files are written in chunks.
CONTENT = gzip.compress(random.Random(0).randbytes(3_000_000), mtime=0)
SIZE = "3.00MB"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
COMMITTED = sorted(path.parent.name for path in (ROOT / "conf").glob("*/downloads.yml"))


@dataclass
class Server:
    """A server whose paths name its behaviour."""

    address: str = ""
    requests: Counter[str] = field(default_factory=Counter)

    def url(self, path: str) -> str:
        return f"{self.address}/{path}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            behaviour = self.path.split("/")[1]
            state.requests[behaviour] += 1
            if behaviour == "moved":
                self.send_response(302)
                self.send_header("Location", "/good/x")
                self.end_headers()
                return
            answers = {"missing": 404, "busy": 503, "forbidden": 403}
            self.send_response(answers.get(behaviour, 200))
            body = b"<!DOCTYPE html><p>Log in" if behaviour == "page" else CONTENT
            if behaviour == "encoded":
                self.send_header("Content-Encoding", "gzip")
            if behaviour != "unsized":
                size = 10**18 if behaviour == "huge" else len(body)
                self.send_header("Content-Length", str(size))
            self.end_headers()
            breaks = behaviour == "broken" or (
                behaviour == "breaks_once" and state.requests[behaviour] == 1
            )
            # A client that has read enough closes the connection.
            with suppress(ConnectionError):
                self.wfile.write(body[: len(body) // 2] if breaks else body)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloads, "FIRST_WAIT", 0.01)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.address = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield state
        http.shutdown()
        thread.join()


def download(folder: Path, *entries: dict) -> DownloadResult:
    return download_all(check_downloads({"files": list(entries)}, "downloads.yml"), folder)


def entry(url: str, file: str = "meta.jsonl.gz", sha256: str | None = None) -> dict:
    return {"file": file, "url": url, "sha256": sha256}


def names(folder: Path) -> list[str]:
    """Return all paths in the folder, including hidden files."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def get_problem(result: DownloadResult) -> str:
    assert len(result.problems) == 1
    assert 2 <= len(result.problems[0].splitlines()) <= 7
    return result.problems[0]


@pytest.mark.parametrize("path", ["good", "unsized", "encoded", "moved"])
@pytest.mark.parametrize("sha256", [SHA256, None])
def test_file_is_saved_unchanged(
    server: Server,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    path: str,
    sha256: str | None,
) -> None:
    folder = tmp_path / "made" / "for it"
    with caplog.at_level("INFO", logger="bazar"):
        result = download(folder, entry(server.url(path), sha256=sha256))
    assert caplog.text.count("downloading") == 1
    assert result.downloaded == [folder / "meta.jsonl.gz"]
    assert not result.problems
    assert (folder / "meta.jsonl.gz").read_bytes() == CONTENT
    assert names(folder) == ["meta.jsonl.gz"]


def test_file_has_the_default_permissions(server: Server, tmp_path: Path) -> None:
    download(tmp_path, entry(server.url("good")))
    (tmp_path / "usual").touch()
    assert (tmp_path / "meta.jsonl.gz").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_existing_file_is_kept(server: Server, tmp_path: Path, sha256: str | None) -> None:
    path = tmp_path / "meta.jsonl.gz"
    path.write_bytes(CONTENT)
    os.utime(path, (1, 1))
    result = download(tmp_path, entry(server.url("good"), sha256=sha256))
    assert (result.kept, result.downloaded) == ([path], [])
    assert path.stat().st_mtime == 1
    assert not server.requests


def test_unknown_checksum_is_reported(server: Server, tmp_path: Path) -> None:
    known = entry(server.url("good"), "known.gz", SHA256)
    for _ in ("downloaded", "kept"):
        result = download(tmp_path, entry(server.url("good")), known)
        assert result.unchecked == {"meta.jsonl.gz": SHA256}
        assert f"meta.jsonl.gz\n    sha256: {SHA256}" in result.summary()
    assert "sha256" not in download(tmp_path, known).summary()


def test_size_is_logged_before_the_transfer(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="bazar"):
        download(tmp_path, entry(server.url("good")), entry(server.url("unsized"), "other.gz"))
    assert f"meta.jsonl.gz: downloading {SIZE} from {server.url('good')}" in caplog.text
    assert "other.gz: downloading an unknown size from" in caplog.text


def test_interrupted_transfer_is_repeated(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = download(tmp_path, entry(server.url("breaks_once"), sha256=SHA256))
    assert server.requests["breaks_once"] == 2
    assert not result.problems
    assert (tmp_path / "meta.jsonl.gz").read_bytes() == CONTENT
    assert names(tmp_path) == ["meta.jsonl.gz"]
    assert "interrupted after 1.05MB. Trying again" in caplog.text


@pytest.mark.parametrize(
    ("path", "attempts", "message"),
    [
        ("broken", 3, "the transfer was interrupted"),
        ("busy", 3, "the server responds 503 Service Unavailable"),
        ("missing", 1, "the server responds 404 Not Found"),
        ("forbidden", 1, "the server responds 403 Forbidden"),
        ("page", 1, "is not a gzip file, despite its name. It begins with b'<!DOCTYPE html"),
        ("huge", 1, "needs 1.00EB"),
    ],
)
def test_failed_download_leaves_no_file(
    server: Server, tmp_path: Path, path: str, attempts: int, message: str
) -> None:
    result = download(tmp_path, entry(server.url(path)))
    problem = get_problem(result)
    assert message in problem
    assert "meta.jsonl.gz" in problem
    assert str(tmp_path) in problem
    if path != "huge":
        assert server.url(path) in problem
    assert server.requests[path] == attempts
    assert names(tmp_path) == []


def test_wrong_checksum_leaves_no_file(server: Server, tmp_path: Path) -> None:
    problem = get_problem(download(tmp_path, entry(server.url("good"), sha256="f" * 64)))
    assert "expected " + "f" * 64 in problem
    assert "found    " + SHA256 in problem
    assert server.url("good") in problem
    assert names(tmp_path) == []


def test_unreachable_server_is_reported(tmp_path: Path, server: Server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/x"
        problem = get_problem(download(tmp_path, entry(url)))
    assert "the server cannot be reached: " in problem
    assert "Connection refused" in problem
    assert url in problem
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"mine", "not a gzip file"),
        (gzip.compress(b"mine", mtime=0), "a different checksum"),
    ],
)
def test_existing_file_with_another_content_is_reported_and_not_changed(
    server: Server, tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "meta.jsonl.gz"
    path.write_bytes(content)
    problem = get_problem(download(tmp_path, entry(server.url("good"), sha256=SHA256)))
    assert f"{path} already exists" in problem
    assert message in problem
    assert "delete it and repeat the command" in problem
    assert path.read_bytes() == content
    assert names(tmp_path) == ["meta.jsonl.gz"]
    assert not server.requests


def test_folder_that_cannot_be_created_is_reported(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = download(tmp_path / "file", entry(server.url("good")))
    assert len(result.problems) == 1
    assert str(tmp_path / "file") in result.problems[0]


def test_other_files_are_downloaded_after_a_problem(server: Server, tmp_path: Path) -> None:
    (tmp_path / "kept.gz").write_bytes(CONTENT)
    result = download(
        tmp_path,
        entry(server.url("missing"), "a.gz"),
        entry(server.url("good"), "b.gz"),
        entry(server.url("good"), "kept.gz"),
        entry(server.url("broken"), "c.gz"),
    )
    assert names(tmp_path) == ["b.gz", "kept.gz"]
    assert [problem[:4] for problem in result.problems] == ["a.gz", "c.gz"]
    size = f"({SIZE})"
    message = result.summary().splitlines()[0]
    assert message == f"1 file {size} downloaded, 1 file {size} kept, in {tmp_path}"


KAGGLE = {"file": "ratings.csv", "kaggle": "someone/ratings"}
PAGE = "https://www.kaggle.com/datasets/someone/ratings"


def test_missing_kaggle_client_is_reported(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    result = download(tmp_path, KAGGLE, entry(server.url("good")))
    problem = get_problem(result)
    assert "pip install kaggle" in problem
    assert "KAGGLE_API_TOKEN" in problem
    assert PAGE in problem
    assert str(tmp_path / "ratings.csv") in problem
    assert names(tmp_path) == ["meta.jsonl.gz"]


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a replacement of Kaggle's client that serves the files of a folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    client = folder / "kaggle"
    client.write_text(
        "#!/bin/sh\n"
        f'echo "$@" > {folder}/arguments\n'
        '[ "$1 $2 $3 $4 $6" = "datasets download someone/ratings -f -p" ] || exit 2\n'
        f'[ -e {folder}/served/* ] && cp {folder}/served/* "$7" || exit 1\n'
    )
    client.chmod(0o755)
    (folder / "served").mkdir()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("KAGGLE_KEY", "very-secret")
    return folder


@pytest.mark.parametrize("zipped", [True, False])
def test_kaggle_file_may_be_zipped(kaggle: Path, tmp_path: Path, zipped: bool) -> None:
    served = kaggle / "served"
    if zipped:
        with zipfile.ZipFile(served / "ratings.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("ratings.csv", "UserId,ProductId\nu,p\n")
    else:
        (served / "ratings.csv").write_text("UserId,ProductId\nu,p\n")
    result = download(tmp_path / "raw", KAGGLE)
    assert not result.problems
    assert (tmp_path / "raw" / "ratings.csv").read_text() == "UserId,ProductId\nu,p\n"
    assert names(tmp_path / "raw") == ["ratings.csv"]


def test_kaggle_archive_without_the_file_is_reported(kaggle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(kaggle / "served" / "ratings.csv.zip", "w") as archive:
        archive.writestr("other.csv", "x")
    problem = get_problem(download(tmp_path / "raw", KAGGLE))
    assert "ratings.csv is not in the archive" in problem
    assert "other.csv" in problem
    assert names(tmp_path / "raw") == []


def test_failure_of_the_kaggle_client_is_reported(
    kaggle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="bazar"):
        problem = get_problem(download(tmp_path / "raw", KAGGLE))
    assert "exit code 1" in problem
    assert PAGE in problem
    assert str(tmp_path / "raw" / "ratings.csv") in problem
    assert "very-secret" not in problem + caplog.text + (kaggle / "arguments").read_text()
    assert names(tmp_path / "raw") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "files: is missing"),
        ({"files": []}, "files: .*at least one file"),
        ({"files": [{"file": "a"}]}, r"files.0: .*either url or kaggle, found neither"),
        (
            {"files": [{**KAGGLE, "url": "https://x/a"}]},
            r"files.0: .*either url or kaggle, found both",
        ),
        ({"files": [entry("ftp://x/a")]}, r"files.0.url: .*found 'ftp://x/a'"),
        ({"files": [entry("https://x/a", "../a")]}, r"files.0.file: .*found '../a'"),
        ({"files": [entry("https://x/a", ".a")]}, r"files.0.file: "),
        ({"files": [entry("https://x/a", sha256="abc")]}, r"files.0.sha256: .*found 'abc'"),
        (
            {"files": [{**entry("https://x/a"), "md5": ""}]},
            r"files.0.md5: unknown key. Available: file, kaggle, sha256, url",
        ),
        ({"files": [entry("https://x/a"), entry("https://x/b")]}, "saved as meta.jsonl.gz"),
        ({"files": [{**KAGGLE, "kaggle": "ratings"}]}, r"files.0.kaggle: .*found 'ratings'"),
    ],
)
def test_invalid_entry_is_reported_with_its_key(content: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        check_downloads(content, "conf/x/downloads.yml")
    assert "conf/x/downloads.yml" in str(error.value)


@pytest.mark.parametrize("env", COMMITTED)
def test_committed_downloads_are_valid(env: str) -> None:
    loader = OmegaConfigLoader(str(ROOT / "conf"), env=env, **CONFIG_LOADER_ARGS)
    checked = check_downloads(loader["downloads"], env)
    for download in checked.files:
        assert urlsplit(download.source).scheme == "https", download.file
    sources = [download.source for download in checked.files]
    assert len(set(sources)) == len(sources)


def test_environments_with_downloads() -> None:
    assert COMMITTED == ["amazon_beauty_2014", "amazon_toys_2014", "set_a", "set_b"]


@pytest.fixture
def project(server: Server, tmp_path: Path) -> Path:
    """A copy of the project with an environment ``shop`` that has downloads."""
    project = copy_project(tmp_path)
    (project / "conf" / "shop").mkdir()
    (project / "conf" / "shop" / "globals.yml").write_text(
        "{dataset: shop, raw_dir: data/01_raw/shop}"
    )
    write_downloads(
        project,
        entry(server.url("good"), "All_Beauty.jsonl.gz", SHA256),
        entry(server.url("breaks_once"), "meta_All_Beauty.jsonl.gz"),
    )
    return project


def write_downloads(project: Path, *entries: dict) -> None:
    (project / "conf" / "shop" / "downloads.yml").write_text(
        yaml.safe_dump({"files": list(entries)})
    )


def test_command_downloads_or_keeps_the_files(project: Path) -> None:
    folder = project / "data" / "01_raw" / "shop"
    run = kedro_here(project, "download", "--env", "shop")
    assert run.returncode == 0, run.stdout + run.stderr
    assert names(folder) == ["All_Beauty.jsonl.gz", "meta_All_Beauty.jsonl.gz"]
    assert f"2 files (6.00MB) downloaded, 0 files kept, in {folder}" in run.stdout
    assert "Next: kedro run --env shop\n" in run.stdout
    assert "Trying again" in run.stdout
    assert f"meta_All_Beauty.jsonl.gz\n    sha256: {SHA256}\n" in run.stdout

    again = kedro_here(project, "download", "-e", "shop")
    assert again.returncode == 0
    assert f"0 files downloaded, 2 files (6.00MB) kept, in {folder}" in again.stdout


def test_command_saves_to_another_folder(project: Path, tmp_path: Path) -> None:
    run = kedro_here(project, "download", "--env", "shop", "--raw-dir", "else/where")
    assert run.returncode == 0, run.stdout + run.stderr
    folder = project / "else" / "where"
    assert names(folder) == ["All_Beauty.jsonl.gz", "meta_All_Beauty.jsonl.gz"]
    assert f"Next: kedro run --env shop --params raw_dir={folder}\n" in run.stdout
    assert not (project / "data" / "01_raw" / "shop").exists()


@pytest.mark.parametrize("env", COMMITTED)
def test_environment_reads_the_downloaded_files(env: str) -> None:
    loader = OmegaConfigLoader(str(ROOT / "conf"), env=env, **CONFIG_LOADER_ARGS)
    options = IngestionOptions.model_validate(loader["parameters"]["ingestion"])
    downloaded = {entry["file"] for entry in loader["downloads"]["files"]}
    needed: set[str] = set()
    known: set[str] = set()
    for source in (*options.interactions.values(), *options.products.values()):
        known.update(source.patterns)
        needed.update(() if source.optional else source.patterns)
    assert needed <= downloaded <= known


def test_command_reports_all_problems(
    project: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No Kaggle client and no credentials, wherever the tests run.
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("HOME", str(project))
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    folder = project / "data" / "01_raw" / "shop"
    write_downloads(
        project,
        KAGGLE,
        entry(server.url("missing"), "gone.gz"),
        entry(server.url("good"), "wrong.gz", "f" * 64),
        entry(server.url("good"), "right.gz"),
    )
    run = kedro_here(project, "download", "--env", "shop")
    assert run.returncode == 1
    assert "1 file " in run.stdout
    assert names(folder) == ["right.gz"]
    message = run.stderr[run.stderr.index("Error:") :]
    for part in (
        "3 of 4 files could not be downloaded",
        PAGE,
        "404 Not Found",
        "a different checksum",
    ):
        assert part in message
    assert len(message.splitlines()) <= 25
    assert "Next:" not in run.stdout
    assert "Traceback" not in run.stdout + run.stderr


@pytest.mark.parametrize("arguments", [[], ["--env", "amazon_all_beauty_2023"], ["--env", "nope"]])
def test_command_lists_the_environments_with_downloads(project: Path, arguments: list[str]) -> None:
    run = kedro_here(project, "download", *arguments)
    assert run.returncode == 1
    assert f"Available: {', '.join([*COMMITTED, 'shop'])}." in run.stderr
    assert arguments[-1:] == [] or arguments[-1] in run.stderr
    assert len(run.stderr.splitlines()) <= 3


def test_command_reports_invalid_entries(project: Path) -> None:
    write_downloads(project, entry("https://x/a", "a/b"))
    run = kedro_here(project, "download", "--env", "shop")
    assert run.returncode == 1
    assert "conf/shop/downloads.yml" in run.stderr
    assert "files.0.file: " in run.stderr
    assert len(run.stderr.splitlines()) <= 3


def test_other_commands_do_not_import_the_download_libraries(project: Path) -> None:
    code = "import sys, bazar.cli, bazar.settings; print({'pooch', 'requests'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
