"""What one request spends, as it spends it: known even where no ranking comes that could say."""

from __future__ import annotations

from decimal import Decimal

from listwise.spend.money import usd_of
from listwise.telemetry.listening import Event, Listener, Reserved, Settled


class Tally:
    """Listens to one request's work, and passes on what it hears."""

    def __init__(self, then: Listener | None = None) -> None:
        """``then`` hears of everything, too."""
        self._then = then
        self._settled = self._reserved = 0

    def __call__(self, event: Event) -> None:
        """Hear of something."""
        match event:
            case Reserved(nano_usd):
                self._reserved += nano_usd
            case Settled(reserved, nano_usd, _):
                self._reserved -= reserved
                self._settled += nano_usd
        if self._then is not None:
            self._then(event)

    @property
    def most_usd(self) -> Decimal:
        """The most that it can have cost so far: what was settled, and the worst case of what is under way."""
        return usd_of(self._settled + self._reserved)
