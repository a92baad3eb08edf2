"""``listwise init``: what is shipped, copied for editing."""

from __future__ import annotations

from pathlib import Path

import pytest

from listwise.cli.init_command import copy_into
from listwise.errors import InputError
from listwise.policy import Policy
from listwise.prompting import check
from listwise.resources import names, resource
from tests.cli.conftest import Shell, last_first
from tests.loopback import ScriptedServer


def test_all_that_is_shipped_is_copied_and_explained(shell: Shell) -> None:
    done = shell.run("init", "mine/deep")
    assert done.returncode == 0, done.stderr
    readme = (shell.folder / "mine/deep/README.md").read_text()
    assert "wrote mine/deep/README.md" in done.stdout
    for kind in ("routing", "prompts"):
        for name in names(kind):
            copy = shell.folder / "mine/deep" / kind / name
            assert copy.read_bytes() == resource(kind, name).read_bytes()
            assert f"wrote mine/deep/{kind}/{name}" in done.stdout
            (line,) = [line for line in readme.splitlines() if line.startswith(f"- `{kind}/{name}`: ")]
            assert len(line.split("`: ")[1]) > 10
    assert "--policy mine/deep/routing/balanced.toml" in readme


def test_every_copy_works(tmp_path: Path) -> None:
    copy_into(tmp_path)
    for policy in (tmp_path / "routing").glob("*.toml"):
        assert Policy.of(policy, llm="openai/gpt-4o") == Policy.of(policy.stem, llm="openai/gpt-4o")
    for template in (tmp_path / "prompts").iterdir():
        assert check(template) == []


def test_an_edited_copy_is_what_is_used(shell: Shell) -> None:
    shell.run("init", "mine")
    policy, prompt = shell.folder / "mine/routing/best.toml", shell.folder / "mine/prompts/rankgpt.yaml"
    policy.write_text(policy.read_text().replace("depth = 100", "depth = 4"))
    prompt.write_text(prompt.read_text().replace("RankGPT, an intelligent assistant", "RecipeGPT, a cook"))
    with ScriptedServer(last_first) as server:
        done = shell.run(*shell.rerank(server.base_url, "--policy", policy, "--prompt", prompt))
        assert done.returncode == 0, done.stderr
        assert server.asked
        assert all("You are RecipeGPT, a cook that can" in asked.prompt for asked in server.asked)
        assert all("provide you with 4 passages" in asked.prompt for asked in server.asked)


def test_what_is_there_is_kept_unless_forced(shell: Shell) -> None:
    mine = shell.folder / "mine/routing/frugal.toml"
    mine.parent.mkdir(parents=True)
    mine.write_text("# mine\n")
    (shell.folder / "mine/routing/other.toml").write_text("# other\n")
    done = shell.run("init", "mine")
    assert done.returncode == 0
    assert mine.read_text() == "# mine\n"
    assert "kept  mine/routing/frugal.toml" in done.stdout
    assert "wrote mine/routing/best.toml" in done.stdout
    assert "--force" in done.stderr
    again = shell.run("init", "mine")
    assert "wrote" not in again.stdout
    forced = shell.run("init", "mine", "--force")
    assert "kept" not in forced.stdout
    assert mine.read_bytes() == resource("routing", "frugal.toml").read_bytes()
    assert (shell.folder / "mine/routing/other.toml").read_text() == "# other\n"


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_folder_that_cannot_be_is_refused_by_name(shell: Shell, force: tuple[str, ...]) -> None:
    done = shell.run("init", "run.trec/mine", *force)
    assert done.returncode == 2
    assert "run.trec/mine: cannot write: there is a file where a folder is to be" in done.stderr
    (shell.folder / "mine/prompts/first.yaml").mkdir(parents=True)
    done = shell.run("init", "mine", *force)
    assert done.returncode == 2
    assert "mine/prompts/first.yaml: cannot write" in done.stderr


def test_a_folder_that_cannot_be_written_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "mine"))

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(InputError, match="mine: cannot write: Permission denied"):
        copy_into(tmp_path / "mine")
