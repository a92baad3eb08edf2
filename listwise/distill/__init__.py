"""The local tier: training of small models, and the record of how the embedded one was made."""
