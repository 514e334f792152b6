"""A small run of each benchmark of the online service."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import serving

SMALL = ("--size", "60")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    arguments = serving.make_parser().parse_args([*words, *SMALL])
    arguments.run(arguments)
    return capsys.readouterr().out


def test_load(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "N_STARTS", 1)
    output = run(capsys, "load", "--seconds", "1", "--rate", "40", "--model", "recent_popularity")
    rows = dict(re.findall(r"^\| 60 \| (.+) \| (.+) \|$", output, re.MULTILINE))
    assert rows["requests by status"] == "200: 40"
    assert float(rows["successful answers a second"]) > 0
    for name in (
        "after the first answer, without encoder",
        "after the load",
        "after the first search",
    ):
        assert int(rows[f"memory {name}"].removesuffix(" MB")) > 50
    assert {"share of a core: service", "share of a core: generator"} <= set(rows)


def test_kills(capsys: pytest.CaptureFixture[str]) -> None:
    output = run(capsys, "kills", "--times", "1")
    assert re.search(r"^[1-9][\d,]* acknowledged events, 0 lost$", output, re.MULTILINE)


def test_swaps(capsys: pytest.CaptureFixture[str]) -> None:
    output = run(capsys, "swaps", "--times", "2")
    assert re.search(r"requests by status, at 50 a second: 200: [1-9]\d*$", output, re.MULTILINE)


def write_report(path: Path, *answers: dict[str, Any] | None) -> Path:
    interactions = {str(number): {"response": answer} for number, answer in enumerate(answers)}
    recorder = {"label": "GET /v1/search", "interactions": interactions}
    lines = [{"Initialize": {}}, {"ScenarioFinished": {"recorder": recorder}}]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_rejected_requests_are_no_faults(tmp_path: Path) -> None:
    report = write_report(
        tmp_path / "report.ndjson",
        {"status_code": 200, "headers": {}},
        {"status_code": 422, "headers": {}},
        {"status_code": 503, "headers": {"retry-after": ["1"]}},
        {"status_code": 503, "headers": {}},
        {"status_code": 500, "headers": {"retry-after": ["1"]}},
        None,
    )
    statuses: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    serving.count_answers(report, statuses, faults)
    assert statuses == {"200": 1, "422": 1, "503": 2, "500": 1, "none": 1}
    assert faults == {f"{status} GET /v1/search": 1 for status in ("503", "500", "none")}
