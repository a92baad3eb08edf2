"""The reader of a page: types its commands in a folder, with providers and servers on the loopback."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from socket import socket

import httpx2

from tests.cli import forked
from tests.cli.conftest import Shell
from tests.docs_blocks import STATUS, Block, Command, commands_of, fails
from tests.docs_checks import check_command, check_program
from tests.loopback import Asked, ScriptedServer, Turn, failure
from tests.loopback.redirect import leading_to

COLUMNS = 100
"""How wide the reader's terminal is, unless a page says ``<!-- columns: 140 -->``."""
SERVED = "http://127.0.0.1:8000"
"""The address at which pages say that the service is, once they have started it."""
FILL = "FILL\n"
"""Below a command, until `tests.docs_play` has written there what it prints."""
_COLLECTION = {"--queries": "queries.jsonl", "--corpus": "corpus.jsonl", "--run": "bm25.trec"}
"""What ``...`` stands for in a command, with ``--out`` where it has that."""


class Player:
    """Plays the commands of a page, one after the other."""

    def __init__(self, folder: Path, server: str, *, keys: Sequence[str] = (), columns: int = COLUMNS) -> None:
        self._folder = folder
        self._server = server
        self._own = {
            **Shell(folder).environment(),
            "COLUMNS": str(columns),
            "LISTWISE_KEYS": str(folder / "keys.json"),
            **dict.fromkeys(keys, "key"),
        }
        self._named: dict[str, str] = {}
        self._status = 0
        self._service: ForkServerProcess | None = None
        self._service_at = SERVED

    def block(self, block: Block) -> Iterator[tuple[Command, str]]:
        """Run the commands of a block, each with what it prints."""
        commands = commands_of(block.text)
        assert commands, f"line {block.line}: no command is in a block of them"
        for command, after in pairwise([*commands, Command((), "")]):
            printed = self.command(command, block.line)
            expected = fails(command.shown) or after.words == STATUS
            as_expected = (self._status != 0) == expected or command.shown == FILL
            assert as_expected, f"line {block.line}: {command.words} ends with {self._status}: {printed}"
            yield command, printed
            if after.words != STATUS:
                self._status = 0

    def command(self, command: Command, line: int = 0) -> str:
        """What a command prints: on standard output, or on standard error if that is nothing."""
        program, *arguments = (self._filled(word) for word in command.words)
        if kept := re.fullmatch(r"(\w+)=\$\((.*)\)", " ".join(command.words)):
            return self._keep(kept[1], shlex.split(kept[2]), line)
        own: dict[str, Callable[[list[str]], str]] = {
            "awk": self._awk,
            "cp": self._cp,
            "cat": partial(self._cat, command),
            "curl": self._curl,
            "echo": self._echo,
            "export": self._export,
            "head": self._head,
            "kill": self._stop,
            "mkdir": self._mkdir,
            "printf": self._printf,
        }
        if program == "listwise":
            return self._listwise(arguments, line)
        if program in own:
            return own[program](arguments)
        known = check_program(command.words, line)
        assert known, f"line {line}: {program} is none of the commands that a page may show"
        return command.shown

    def python(self, code: str) -> str:
        """What a block of Python prints, in the folder."""
        if "listwise.distill" in code and find_spec("torch") is None:
            compile(code, "page", "exec")  # tests/distill run it, with torch
            return ""
        printed = io.StringIO()
        environment = {name: value for name, value in self._own.items() if os.environ.get(name) != value}
        kept = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        try:
            with (
                contextlib.chdir(self._folder),
                contextlib.redirect_stdout(printed),
                leading_to(self._server),
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("ignore", ResourceWarning)  # a script need not close what ends with it
                exec(compile(code.replace(SERVED, self._service_at), "page", "exec"), {"__name__": "__main__"})
                gc.collect()
        finally:
            for name, value in kept.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        return printed.getvalue()

    def file(self, name: str, text: str) -> str:
        """Write a file; nothing is printed."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return ""

    def close(self) -> None:
        if self._service is not None:
            self._service.kill()
            self._service.join()

    def _filled(self, word: str) -> str:
        """A word with the values of the page's variables."""
        return re.sub(r"\$(\w+)", lambda found: self._named.get(found[1], found[0]), word)

    def _keep(self, name: str, words: list[str], line: int) -> str:
        self._status, out, err = self._run(words[1:])
        assert words[0] == "listwise", f"line {line}: {words[0]}"
        self._named[name] = out.strip()
        return err

    def _listwise(self, arguments: list[str], line: int) -> str:
        into = mode = None
        if ">" in arguments or ">>" in arguments:
            *arguments, mode, into = arguments
        if arguments[0] == "distill" and find_spec("torch") is None:
            check_command(shlex.join(["listwise", *arguments]), line)  # tests/distill run it, with torch
            return ""
        if arguments[-1] == "&":
            return self._serve(arguments[:-1])
        self._status, out, err = self._run(arguments)
        if into is not None:
            before = (self._folder / into).read_text(encoding="utf-8") if mode == ">>" else ""
            return self.file(into, before + out)
        return out or err

    def _run(self, arguments: list[str]) -> tuple[int, str, str]:
        given = _spelt_out(arguments)
        meanwhile = _checked if given[0] == "serve" else partial(leading_to, self._server)
        status, out, err = forked.run(given, self._folder, self._own, None, timeout_s=120, meanwhile=meanwhile)
        assert "Traceback" not in err, err
        return status, self._as_at_home(out), self._as_at_home(err)

    def _as_at_home(self, text: str) -> str:
        """With the folders of a reader's own in the place of this test's."""
        text = text.replace(str(self._folder / "cache"), "/home/me/.cache/listwise")
        return text.replace(f"{self._folder}/", "/home/me/.local/state/listwise/")

    def _serve(self, arguments: list[str]) -> str:
        """The service itself, at a port that is free."""
        with socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        own = self._folder / "service"
        own.mkdir(exist_ok=True)
        given = [*arguments, "--port", str(port)]
        where = partial(leading_to, self._server)
        self._service = forked.start(given, self._folder, self._own, None, own, where)
        self._service_at = f"http://127.0.0.1:{port}"
        for _ in range(600):
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(f"{self._service_at}/health/ready").status_code == 200:
                    return ""
            assert self._service.is_alive(), (own / "err").read_text()
            time.sleep(0.05)
        raise AssertionError("the service does not start")

    def _stop(self, arguments: list[str]) -> str:
        assert arguments == ["%1"], arguments
        assert self._service is not None
        self._service.terminate()
        self._service.join(30)
        assert self._service.exitcode == 0, self._service.exitcode
        self._service = None
        return ""

    def _curl(self, arguments: list[str]) -> str:
        url, headers, body, status = "", {}, None, False
        words = iter(arguments)
        for word in words:
            match word:
                case "-s":
                    pass
                case "-H":
                    name, value = next(words).split(": ", 1)
                    headers[name] = value
                case "-d":
                    body = next(words)
                case "-w":
                    status = "%{http_code}" in next(words)
                case _:
                    url = word.replace(SERVED, self._service_at)
        answer = httpx2.request("GET" if body is None else "POST", url, headers=headers, content=body, timeout=30)
        return answer.text + (f"\n{answer.status_code}\n" if status else "\n")

    def _echo(self, arguments: list[str]) -> str:
        assert arguments == ["$?"], arguments
        shown, self._status = self._status, 0
        return f"{shown}\n"

    def _cat(self, command: Command, arguments: list[str]) -> str:
        if command.given is not None:
            assert arguments[0] == ">", "a here-document is written to a file"
            return self.file(arguments[1], command.given)
        if not (self._folder / arguments[0]).exists():
            return self.file(arguments[0], command.shown) + command.shown
        return (self._folder / arguments[0]).read_text(encoding="utf-8")

    def _head(self, arguments: list[str]) -> str:
        number, name = int(arguments[0].lstrip("-")), arguments[1]
        lines = (self._folder / name).read_text(encoding="utf-8").splitlines(keepends=True)
        return "".join(lines[:number])

    def _printf(self, arguments: list[str]) -> str:
        text, _, name = arguments
        return self.file(name, text.encode().decode("unicode_escape"))

    def _cp(self, arguments: list[str]) -> str:
        (one,) = self._folder.glob(arguments[0])
        shutil.copy(one, self._folder / arguments[1])
        return ""

    def _mkdir(self, arguments: list[str]) -> str:
        for name in arguments:
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        return ""

    def _awk(self, arguments: list[str]) -> str:
        *given, _, into = arguments
        done = subprocess.run(
            ["awk", *given], cwd=self._folder, capture_output=True, text=True, check=True, env=self._own
        )
        return self.file(into, done.stdout)

    def _export(self, arguments: list[str]) -> str:
        name, value = arguments[0].split("=", 1)
        self._own[name] = value
        return ""


_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "COHERE_API_KEY", "JINA_API_KEY", "VOYAGE_API_KEY")
"""What readers have in their environment, where the page does not set it."""


def _spelt_out(arguments: list[str]) -> list[str]:
    """With what ``...`` stands for."""
    if "..." not in arguments:
        return arguments
    own = {**_COLLECTION, **({"--out": "out.trec"} if arguments[0] == "rerank" else {})}
    if "--requests" in arguments:
        own = {name: value for name, value in own.items() if name not in _COLLECTION}
    at = arguments.index("...")
    added = [word for name, value in own.items() if name not in arguments for word in (name, value)]
    return [*arguments[:at], *added, *arguments[at + 1 :]]


@contextlib.contextmanager
def _checked() -> Iterator[None]:
    """A service is set up as far as its settings: none is left running."""
    from listwise.serve import running

    running.run = lambda settings, host, port: None
    yield


def in_order(asked: Asked) -> Turn:
    """A model that answers, and changes nothing; but not for the keys ``wrong`` and ``empty``, of an account."""
    key = asked.headers.get("authorization", "").removeprefix("Bearer ")
    if key == "wrong":
        return failure(401, "Incorrect API key provided", code="invalid_api_key")
    if key == "empty":
        return failure(429, "You exceeded your current quota", code="insufficient_quota")
    if "query" in asked.body:
        documents = asked.body.get("documents") or asked.body["texts"]
        return json.dumps([round(1 - at / 100, 2) for at in range(len(documents))])
    numbers = sorted({int(each) for each in re.findall(r"^\[(\d+)\] ", asked.prompt, re.MULTILINE)}) or [
        1,
        2,
        3,
        4,
        5,
    ]
    return json.dumps({"order": numbers}) if "JSON" in asked.prompt else " > ".join(f"[{each}]" for each in numbers)


@contextlib.contextmanager
def player(folder: Path, page: str) -> Iterator[Player]:
    """A player whose server has the models that the page names."""
    models = tuple(sorted(set(re.findall(r"(?:vllm|openai|anthropic)/(?!no-such)([\w./:-]*\w)", page)))) or (
        "loopback-1",
    )
    with ScriptedServer(in_order, models=models, max_model_len=8192) as server:
        keys = [] if "listwise: no key" in page else [name for name in _KEYS if f"export {name}=" not in page]
        columns = re.search(r"<!-- columns: (\d+) -->", page)
        playing = Player(folder, server.root, keys=keys, columns=int(columns[1]) if columns else COLUMNS)
        try:
            yield playing
        finally:
            playing.close()
