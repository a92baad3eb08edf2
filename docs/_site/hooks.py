"""What mkdocs does beyond turning pages into HTML: pages made of code, recorded results, no network."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
_OUTSIDE = re.compile(r"\]\((?:\.\./)+eval/")


def on_files(files: Files, config: Any) -> Files:
    """Add the reference that is read off the code, and what was measured."""
    from docs._site import reference

    files.append(File.generated(config, "reference/command-line.md", content=reference.command_line()))
    files.append(File.generated(config, "reference/settings.md", content=reference.settings()))
    for pattern in ("results/*.md", "results/*.svg", "experiments/*.toml"):
        for path in sorted((ROOT / "eval").glob(pattern)):
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links of the repository's own layout, `docs/` beside `eval/`, become links of the site's."""
    return _OUTSIDE.sub("](" + "../" * page.file.src_uri.count("/") + "eval/", markdown)


def on_post_build(config: Any) -> None:
    """Refuse a site that would ask another host for anything.

    Raises:
        PluginError: a page loads something from elsewhere.
    """
    from docs._site.network import loaded_from_elsewhere

    for path in sorted(Path(config.site_dir).rglob("*")):
        if path.suffix in (".html", ".css") and (found := loaded_from_elsewhere(path.read_text(encoding="utf-8"))):
            raise PluginError(f"{path}: {found} is loaded from elsewhere; the site must work without a network")
