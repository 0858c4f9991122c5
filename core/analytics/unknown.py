"""What is given in the place of a figure that cannot be known."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Unknown:
    """Why there is no figure, in a sentence that a merchant can read."""

    reason: str
