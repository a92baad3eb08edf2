"""The stages before the LLM: scorers one after another, each reading what those before it put at the top."""
