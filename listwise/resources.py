"""Finds the files that users edit, ``prompts/`` and ``routing/``: inside the wheel, or in the checkout."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from listwise.errors import ConfigError

Kind = Literal["prompts", "routing"]

_HERE = Path(__file__).resolve().parent


def folder(kind: Kind) -> Path:
    """Where the files of a kind lie: ``listwise/_data`` of an installed wheel, else the checkout.

    Raises:
        ConfigError: neither is there.
    """
    for place in (_HERE / "_data" / kind, _HERE.parent / kind):
        if place.is_dir():
            return place
    raise ConfigError(f"the folder {kind}/ of listwise is missing; install listwise anew")


def names(kind: Kind) -> tuple[str, ...]:
    """The files of a kind, sorted: ``rankgpt.yaml``, ...

    Raises:
        ConfigError: the folder is missing.
    """
    return tuple(
        sorted(file.name for file in folder(kind).iterdir() if file.is_file() and file.name[0] not in "._")
    )


def resource(kind: Kind, name: str) -> Path:
    """The path of one file, for example ``resource("prompts", "rankgpt.yaml")``.

    Raises:
        ConfigError: there is no such file; lists those there are.
    """
    known = names(kind)
    if name not in known:
        raise ConfigError(
            f"no file {name!r} in {kind}/, which has {', '.join(known) or 'none'}{did_you_mean(name, known)}"
        )
    return folder(kind) / name


def shipped(kind: Kind, suffix: str) -> tuple[str, ...]:
    """The names of the files of a kind with such a suffix, without it."""
    return tuple(name.removesuffix(suffix) for name in names(kind) if name.endswith(suffix))


def shipped_or_own(
    kind: Kind, suffix: str, name: str | Path, what: str, error: type[ConfigError] = ConfigError
) -> Path:
    """The file of a shipped name, or else a file of the user's own.

    Args:
        suffix: of shipped files; their names go without.
        what: is looked for, as in "no router 'x'".
        error: what to raise.

    Raises:
        ConfigError: there is neither; lists the names there are.
    """
    known = shipped(kind, suffix)
    if name in known:
        return resource(kind, f"{name}{suffix}")
    path = Path(name)
    if path.is_dir():
        raise error(f"{path}: is a directory; a {what} is a {suffix} file")
    if not path.is_file():
        hint = did_you_mean(str(name), known)
        raise error(f"no {what} {str(name)!r}: neither a file nor one of {', '.join(known)}{hint}")
    return path


def did_you_mean(name: str, known: tuple[str, ...]) -> str:
    """The end of an error message: the known name that is closest, if one is close."""
    close = get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""
