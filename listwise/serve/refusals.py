"""What a client is told that gets no ranking."""

from __future__ import annotations

from dataclasses import dataclass, field

from listwise.errors import ListwiseError


@dataclass(eq=False)
class Refusal(ListwiseError):
    """An HTTP status with a message, and the word by which metrics and logs count it."""

    status: int
    outcome: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message

    @property
    def body(self) -> dict[str, object]:
        """In the fields in which the vendors' clients look: Cohere's, FastAPI's, and those of TEI."""
        return {"message": self.message, "detail": self.message, "error": self.message, "error_type": self.outcome}


def busy(message: str, after_s: float, *, status: int = 429, outcome: str = "busy") -> Refusal:
    """Come again in so many seconds."""
    return Refusal(status, outcome, message, {"retry-after": str(max(1, round(after_s + 0.5)))})
