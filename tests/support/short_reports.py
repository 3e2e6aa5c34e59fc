"""What a worker tells the process that hands out tests: how a test went, once.

pytest-xdist sends six messages a test, four of which say that it began, that it was set up, that it was taken
down, and that it ended. Thousands of tests make that seconds of both processes.
"""

import pytest
from _pytest.runner import runtestprotocol


class ShortReports:
    """A pytest plugin for workers of pytest-xdist: setup and teardown are reported where they do not pass."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Run one test."""
        for report in runtestprotocol(item, log=False, nextitem=nextitem):
            if report.when == "call" or not report.passed:
                item.ihook.pytest_runtest_logreport(report=report)
        return True
