"""
How much of everything there is in one run.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Numbers of things; times are in seconds."""

    people: int = 5000
    readers: int = 500
    # Redis stopped: longer than the server takes to notice, and a shorter time.
    silences: tuple[float, ...] = (30.0, 4.0)
    away: float = 3.0  # Redis or PostgreSQL between its end and its new start
    hang: float = 22.0  # PostgreSQL stopped: longer than a lookup may take
    calm: float = 2.0  # after each fault
    crowd: int = 3000
    commands: int = 20_000
    stalled: int = 10
    resets: int = 200
    slow: int = 200
    warm_up: int = 10_000
    cycles: int = 50_000


FULL = Plan()
SHORT = Plan(
    people=2000,
    silences=(22.0,),
    away=1.5,
    hang=17.0,
    calm=1.0,
    crowd=1000,
    commands=5000,
    resets=50,
    slow=50,
    warm_up=3000,
    cycles=5000,
)
