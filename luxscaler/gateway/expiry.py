"""Work that is due by the clock: deadlines, retention of data, expiry of uploads."""

import logging

from luxscaler.gateway.runner import Parts, Runner

_log = logging.getLogger(__name__)


async def expire_repeatedly(parts: Parts, runner: Runner) -> None:
    """Do what is due, again and again, until the task is canceled."""
    while True:
        try:
            expire(parts, runner)
        except Exception:
            _log.exception("expiry")
        await parts.clock.sleep_async(parts.settings.expiry_seconds)


def expire(parts: Parts, runner: Runner) -> None:
    """Cancel overdue predictions; remove the data of old ones, and old uploads."""
    now = parts.clock.now()
    for prediction in parts.store.overdue(now):
        runner.cancel(prediction.id, overdue=True)
    for prediction in parts.store.to_forget(now - parts.settings.retention_seconds):
        parts.files.remove_outputs(prediction.id)
        parts.store.forget(prediction.id)
    for file in parts.store.expired_files(now):
        parts.files.remove_file(file.id)
        parts.store.remove_file(file.id)
    runner.give_up("The gateway had a fault (its log says more)")
