"""How the worker logs: one line an event, with its fields; as text for a person or as JSON for a collector."""

import logging
from typing import Literal

import structlog
from celery.signals import setup_logging

PROCESSORS: list[structlog.typing.Processor] = [
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def set_up(style: Literal["text", "json"]) -> None:
    """Have every logger of this process, Celery's too, write to stderr in this style."""
    structlog.configure(
        processors=[*PROCESSORS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(style))
    logging.getLogger().handlers = [handler]
    logging.getLogger().setLevel(logging.INFO)


def _formatter(style: Literal["text", "json"]) -> logging.Formatter:
    renderers: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    if style == "text":
        # Plain, because the prettier ones print local variables, and so the passwords among them.
        plain = structlog.dev.plain_traceback
        renderers = [
            structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, pad_level=False, exception_formatter=plain)
        ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=PROCESSORS,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
    )


@setup_logging.connect
def _keep_our_logging(loglevel: int | str | None = None, logfile: str | None = None, **_: object) -> None:
    """Celery would replace the handlers that the command set up; --loglevel and --logfile count all the same."""
    root = logging.getLogger()
    if loglevel is not None:
        root.setLevel(loglevel)
    if logfile:
        handler = logging.FileHandler(logfile)
        handler.setFormatter(root.handlers[0].formatter)
        root.handlers = [handler]
