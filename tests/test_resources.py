"""Files of prompts/ and routing/ are found in the checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from listwise import resources
from listwise.errors import ConfigError, TemplateError
from listwise.resources import did_you_mean, folder, names, resource, shipped, shipped_or_own


def test_the_files_of_the_checkout_are_listed_and_found() -> None:
    assert {"rankgpt.yaml", "rankzephyr.yaml", "structured.yaml"} <= set(names("prompts"))
    assert "balanced.toml" in names("routing")
    assert resource("prompts", "rankgpt.yaml").read_text(encoding="utf-8").startswith("# RankGPT")


def test_the_wheel_goes_before_a_folder_that_happens_to_lie_beside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "listwise"
    shipped = package / "_data" / "prompts"
    someone_elses = tmp_path / "site-packages" / "prompts"
    for place in (shipped, someone_elses):
        place.mkdir(parents=True)
        (place / "x.yaml").touch()
    (shipped / ".hidden").touch()
    (shipped / "b.yaml").touch()
    monkeypatch.setattr(resources, "_HERE", package)
    assert folder("prompts") == shipped
    assert names("prompts") == ("b.yaml", "x.yaml")
    assert resource("prompts", "x.yaml") == shipped / "x.yaml"
    with pytest.raises(ConfigError, match="routing/ of listwise is missing"):
        names("routing")


@pytest.mark.parametrize("name", ["rankgtp.yaml", "../pyproject.toml", "", ".", "rankgpt.yaml/"])
def test_a_file_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(ConfigError, match=r"no file .* in prompts/, which has .*rankgpt\.yaml"):
        resource("prompts", name)


def test_the_closest_name_is_offered_only_if_it_is_close() -> None:
    assert did_you_mean("rankgtp", ("rankgpt", "structured")) == "; did you mean 'rankgpt'?"
    assert did_you_mean("zzz", ("rankgpt", "structured")) == ""


def test_a_shipped_name_goes_before_a_file_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("default", "own.json"):
        (tmp_path / name).touch()
    assert "default" in shipped("routing", ".json")
    assert "balanced" not in shipped("routing", ".json")
    assert shipped_or_own("routing", ".json", "default", "router") == resource("routing", "default.json")
    for own in ("own.json", tmp_path / "default"):
        assert shipped_or_own("routing", ".json", own, "router") == Path(own)


def test_what_is_neither_shipped_nor_a_file_is_refused_with_what_is_shipped(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no policy 'balnced': neither a file nor one .* mean 'balanced'"):
        shipped_or_own("routing", ".toml", "balnced", "policy")
    with pytest.raises(TemplateError, match=r"is a directory; a template is a \.yaml file"):
        shipped_or_own("prompts", ".yaml", tmp_path, "template", TemplateError)
