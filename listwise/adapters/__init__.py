"""Re-rankers for other libraries, each in a file that alone knows its library, and an extra (docs/adapters.md).

| file | what it is there | extra |
|---|---|---|
| `langchain` | a ``BaseDocumentCompressor`` | ``langchain`` |
| `llama_index` | a ``BaseNodePostprocessor`` | ``llama-index`` |
| `haystack` | a component | ``haystack`` |
| `pyterrier` | a ``Transformer`` | ``pyterrier`` |
| `mcp_server` | tools for agents, behind ``listwise mcp`` | ``mcp`` |

Importing one whose library is not installed raises `listwise.errors.MissingExtra`, which names the pip command.
"""
