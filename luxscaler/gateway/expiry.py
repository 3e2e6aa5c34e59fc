"""What happens by the clock alone: deadlines, retention, uploads that expire."""

import logging

from luxscaler.gateway.runner import Parts, Runner

INTERVAL_SECONDS = 0.5
_log = logging.getLogger(__name__)


async def keep_time(parts: Parts, runner: Runner) -> None:
    """Look, for ever."""
    while True:
        try:
            sweep(parts, runner)
        except Exception:
            _log.exception("the janitor")
        await parts.clock.sleep_async(INTERVAL_SECONDS)


def sweep(parts: Parts, runner: Runner) -> None:
    """Do what is due now."""
    now = parts.clock.now()
    for prediction in parts.store.overdue(now):
        runner.cancel(prediction.id, overdue=True)
    for prediction in parts.store.to_forget(now - parts.settings.retention_seconds):
        parts.vault.remove_outputs(prediction.id)
        parts.store.forget(prediction.id)
    for file in parts.store.expired_files(now):
        parts.vault.remove_file(file.id)
        parts.store.remove_file(file.id)
    runner.give_up("The gateway had a fault (its log says more)")
