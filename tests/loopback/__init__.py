"""A scripted LLM provider on the loopback: real sockets, real HTTP, and every way that servers fail.

Importable by tests and scripts; ``python -m tests.loopback --delay-ms 50`` runs one until it is interrupted.
"""

from tests.loopback.server import ScriptedServer
from tests.loopback.turns import Asked, HalfBody, Hang, Http, Reset, Said, Script, Trickle, Turn, failure

__all__ = [
    "Asked",
    "HalfBody",
    "Hang",
    "Http",
    "Reset",
    "Said",
    "Script",
    "ScriptedServer",
    "Trickle",
    "Turn",
    "failure",
]
