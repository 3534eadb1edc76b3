"""What may one request take, and which environment tells the server so?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gonogo.types.errors import UsageError

PROVE_EVERY_S = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Limits of one worker, and a rate of all together. Each has a number, for a limit that is not there is found by somebody."""

    max_body_bytes: int = 4 << 20  # of predictions, events and outcomes; what is longer is refused unread
    max_job_bytes: int = 32 << 20
    max_job_rows: int = 1_000_000
    max_batch_rows: int = 1000  # more is what jobs are for
    max_depth: int = 16  # of JSON whose shape nobody declared
    max_in_flight: int = 256  # requests of one worker at a time
    max_connections: int = 2048
    max_head_bytes: int = 32 << 10  # request line and headers
    max_headers: int = 100
    rate_per_s: float | None = None  # rows that one key may ask of all workers together in a second; None: any number
    burst_s: float = 2.0  # how long a key may save up
    head_timeout_s: float = 10.0  # from the first byte, or from connecting, to the last header
    body_timeout_s: float = 20.0  # from the first header to the last byte
    keep_alive_s: float = 75.0
    drain_s: float = 25.0  # platforms kill after 30
    slow_s: float = 1.0  # what takes longer is written to the access log
    hosts: tuple[str, ...] = ()  # names by which a server without keys may be called, beside those of this machine
    health_path: str = ""  # one more path for readiness, as Vertex AI names it
    predict_path: str = ""  # one more path for {"instances": […]}
    prove_every_s: float = PROVE_EVERY_S  # how often models that are held, and the rollback target on disk, are proved again

    def __post_init__(self) -> None:
        """Raises UsageError for a limit that lets nothing through."""
        for name in ("max_body_bytes", "max_job_bytes", "max_job_rows", "max_batch_rows", "max_depth", "max_in_flight", "max_connections"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1", found=str(getattr(self, name)), where=name)
        for name in ("head_timeout_s", "body_timeout_s", "keep_alive_s", "burst_s", "prove_every_s"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} must be above 0", found=str(getattr(self, name)), where=name)
        if self.rate_per_s is not None and not self.rate_per_s > 0:
            raise UsageError("rate_per_s must be above 0", found=str(self.rate_per_s), where="rate_per_s")
        for name in ("health_path", "predict_path"):
            if getattr(self, name) and not getattr(self, name).startswith("/"):
                raise UsageError(f"{name} is a path", found=getattr(self, name), expected="it begins with /", where=name)


def of_environment(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """The same settings with the paths by which Vertex AI calls a container, and with GONOGO_PROVE_EVERY_S seconds between proofs.

    Raises UsageError for seconds that are no number above 0.

    >>> of_environment(Settings(), {"AIP_HEALTH_ROUTE": "/health", "AIP_PREDICT_ROUTE": "/predict"}).predict_path
    '/predict'
    """
    return replace(
        settings,
        health_path=environ.get("AIP_HEALTH_ROUTE", settings.health_path),
        predict_path=environ.get("AIP_PREDICT_ROUTE", settings.predict_path),
        prove_every_s=_seconds(environ, "GONOGO_PROVE_EVERY_S", settings.prove_every_s),
    )


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name, "")
    try:
        return float(text) if text else default
    except ValueError:
        raise UsageError(f"{name} is no number of seconds", found=text, expected="a number above 0", where=name) from None


def port_of_environment(environ: Mapping[str, str], default: int) -> int:
    """The port that Vertex AI or another platform wants listened on.

    >>> port_of_environment({"AIP_HTTP_PORT": "8081"}, 8080)
    8081
    """
    text = environ.get("AIP_HTTP_PORT", "")
    if not text:
        return default
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise UsageError("AIP_HTTP_PORT is no port", found=text, expected="a number from 1 to 65535", where="AIP_HTTP_PORT")
    return int(text)
