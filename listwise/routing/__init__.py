"""Which queries are worth an LLM: signals read off the scores, and the router that acts on them."""
