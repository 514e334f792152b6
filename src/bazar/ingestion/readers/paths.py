"""Find the files that the paths and patterns of a source stand for."""

from pathlib import Path

from bazar.errors import InputError

_PATTERN_LETTERS = "*?["


def find_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files that a path or a pattern stands for, sorted by name.

    A folder stands for the Parquet files in it and in its folders. Files that are hidden or begin
    with an underscore are ignored.

    Args:
        folder: the folder of relative paths.
        pattern: a path or a pattern with ``*``, ``?`` or ``[``. An absolute path, and ``~/`` for
            the home folder, are possible as well. If a file or folder has exactly this
            name, the name is not read as a pattern.

    Returns:
        The files. A path without a pattern is returned even if it does not exist. A pattern may
        match no file.

    Raises:
        InputError: if a folder has no Parquet file.
    """
    path = folder / Path(pattern).expanduser()
    if path.exists() or not any(letter in pattern for letter in _PATTERN_LETTERS):
        return _list_parts(path) if path.is_dir() else [path]
    found = []
    existing, parts = _split_existing(path)
    for match in sorted(existing.glob(str(Path(*parts)))):
        # Interrupted downloads and editors leave hidden files.
        if match.name.startswith("."):
            continue
        if match.is_file():
            found.append(match)
        elif match.is_dir() and "**" not in pattern:
            found += _list_parts(match)
    return found


def _split_existing(path: Path) -> tuple[Path, list[str]]:
    """Return the part of a path that exists as it is written, and the parts after it."""
    existing, parts = Path(path.anchor), list(path.parts[1 if path.anchor else 0 :])
    while parts and (existing / parts[0]).exists():
        existing /= parts.pop(0)
    return existing, parts


def _list_parts(folder: Path) -> list[Path]:
    """Return the Parquet files in a folder, as engines with several processes write them."""
    parts = sorted(
        path
        for path in folder.rglob("*.parquet")
        if path.is_file()
        and not any(name.startswith((".", "_")) for name in path.relative_to(folder).parts)
    )
    if not parts:
        names = ", ".join(sorted(entry.name for entry in folder.iterdir())[:10]) or "nothing"
        raise InputError(
            f"{folder} is a folder without a Parquet file. It contains {names}.\n"
            f"For other files, set files to a pattern such as {folder.name}/*.csv."
        )
    return parts
