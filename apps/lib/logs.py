"""JSON logs: one object a line, with whatever ids are bound (`run_id`, `job_id`) and without secrets, on standard error."""

import logging
import sys
from collections.abc import Collection
from typing import Any

import structlog

from apps.lib.redaction import Redactor


def configure_logs(level: str, *, secrets: Collection[str] = ()) -> dict[str, Any]:
    """Configure structlog, and return the matching value for Django's `LOGGING`. No line will hold any of `secrets`."""
    redactor = Redactor(secrets)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(default=str),
                    # On the finished line, so that nothing in an exception, an argument or a name gets around it.
                    lambda _logger, _method, line: redactor(line),
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "uvicorn.access": {"level": "WARNING"},
            "axes": {"level": "WARNING"},
            "asyncio": {"level": logging.getLevelName(logging.WARNING)},
        },
    }
