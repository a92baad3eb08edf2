"""What the engine tells of its work: spans for whoever traces (`spans`), figures for whoever counts (`listening`).

Both cost next to nothing where nobody asked. Neither is ever told a query, a passage, an answer or a key.
"""
