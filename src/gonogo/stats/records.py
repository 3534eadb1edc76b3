"""What do the public statistics give?"""

from __future__ import annotations

from gonogo.types.evidence import Estimate, Interval, Tested

__all__ = ["Estimate", "Interval", "Tested"]
