"""tiktoken's own vocabulary files, written from the npm package js-tiktoken, for where tiktoken cannot fetch them.

    npm pack js-tiktoken@1.0.21
    python -m eval.benchmarks.tiktoken_files js-tiktoken-1.0.21.tgz FOLDER

The package holds the same ranks in another form. Each file is written under the name that tiktoken looks for, and
kept only if its SHA-256 is the one that tiktoken asks for; so FOLDER can be its ``TIKTOKEN_CACHE_DIR``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
from pathlib import Path

from listwise.spend.vocabularies import EMBEDDED, file_in, kept_file


def ranks(script: str) -> bytes:
    """A vocabulary as tiktoken keeps it, ``token rank`` a line, from a script of js-tiktoken that exports it.

    There a line is ``! first token token ...``: tokens, in base64, of ranks that count up from ``first``.
    """
    exported = json.loads(script[script.index("{") : script.rindex("}") + 1])
    lines: list[str] = []
    for row in exported["bpe_ranks"].splitlines():
        if row:
            _, first, *tokens = row.split(" ")
            lines += (f"{token} {rank}\n" for rank, token in enumerate(tokens, int(first)))
    return "".join(lines).encode()


def write(package: Path, folder: Path) -> list[str]:
    """Write the files of the vocabularies that listwise embeds; returns the names of those that came out whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(package) as archive:
        for name in EMBEDDED:
            member = archive.extractfile(f"package/dist/ranks/{name}.js")
            file = file_in(folder, name)
            if member is not None:
                file.write_bytes(ranks(member.read().decode()))
            if kept_file(name, folder) is None:
                file.unlink(missing_ok=True)
    return sorted(name for name in EMBEDDED if kept_file(name, folder) is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    whole = write(options.package, options.folder)
    print(f"whole, by SHA-256: {', '.join(whole) or 'none'}")
    sys.exit(set(whole) != EMBEDDED)


if __name__ == "__main__":
    main()
