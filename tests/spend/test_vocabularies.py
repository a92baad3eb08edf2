"""The embedded vocabularies, without the package around them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import bpe_openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.spend import vocabularies

texts = st.text(st.characters(codec=None), max_size=200)


@pytest.mark.parametrize("name", sorted(vocabularies.EMBEDDED))
@given(text=texts)
def test_tokens_are_those_of_the_package(name: str, text: str) -> None:
    assert vocabularies.tokens(text, name) == bpe_openai.get_encoding(name).encode_ordinary(text)


def test_the_package_is_not_imported_and_can_be_afterwards() -> None:
    script = (
        "import sys; from listwise.spend.vocabularies import count; assert count('why', 'o200k_base') == 1; "
        "assert 'bpe_openai' not in sys.modules; import bpe_openai; "
        "assert bpe_openai.get_encoding('o200k_base').encode_ordinary('why')"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("error", [ImportError, AttributeError])
def test_where_the_binding_is_not_to_be_had_the_package_counts(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fails() -> Any:
        raise error

    monkeypatch.setattr(vocabularies, "_bindings", fails)
    made = vocabularies.encoding.__wrapped__("cl100k_base")
    assert isinstance(made, bpe_openai.Encoding)
    assert made.encode_ordinary("why is the sky blue") == vocabularies.tokens("why is the sky blue", "cl100k_base")
