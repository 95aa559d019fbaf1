"""Structured logs, and errors to Sentry where a DSN is set: the same fields in both."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from contextlib import AbstractContextManager

    from orchestrator.config import Settings

FIELDS = ("task", "blueprint", "step", "host", "fence")
"""What every line and every report carries where it is known."""


def configure(settings: Settings, level: int = logging.INFO) -> None:
    """Write logs to standard error: one JSON object a line, or readable on a terminal."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    chosen = settings.log_format or ("console" if sys.stderr.isatty() else "json")
    last: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer() if chosen == "console" else structlog.processors.JSONRenderer()
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last]
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def bound(**fields: str | int | None) -> AbstractContextManager[None]:
    """Put these fields on every line that is logged, and on every error that is reported, within the context."""
    known = {name: value for name, value in fields.items() if value is not None}
    return structlog.contextvars.bound_contextvars(**known)


def report_errors(settings: Settings) -> bool:
    """Report errors to Sentry if a DSN is set; without one nothing is loaded and nothing is sent."""
    if settings.sentry_dsn is None:
        return False
    import sentry_sdk  # noqa: PLC0415 - half a second that only its users shall pay
    from sentry_sdk.integrations.celery import CeleryIntegration  # noqa: PLC0415 - likewise

    def tagged(event: MutableMapping[str, object], _hint: object) -> MutableMapping[str, object]:
        fields = structlog.contextvars.get_contextvars()
        tags = event.setdefault("tags", {})
        if isinstance(tags, dict):
            tags |= {name: str(fields[name]) for name in FIELDS if name in fields}
        return event

    sentry_sdk.init(
        dsn=settings.sentry_dsn,
        before_send=tagged,  # type: ignore[arg-type]
        integrations=[CeleryIntegration()],
        send_default_pii=False,
        include_local_variables=False,
    )
    return True
