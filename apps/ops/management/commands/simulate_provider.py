"""`manage.py simulate_provider`: a provider that costs nothing, for tests, benchmarks and load tests."""

import asyncio
import signal
from argparse import ArgumentParser
from contextlib import suppress
from random import Random
from typing import Any

import uvloop
from django.core.management.base import BaseCommand, CommandError

from apps.ops.domain.simulation import SimulationInvalidError, read_failures, read_latency
from apps.ops.simulator.server import Simulator, serve


class Command(BaseCommand):
    """Serves OpenAI's shapes on loopback until it is stopped."""

    help = "Serve a simulated OpenAI-compatible provider on 127.0.0.1. GET /sim/calls and /sim/stats tell what it has seen."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, required=True)
        parser.add_argument("--latency", default="fixed:50", help="fixed:MS, uniform:MS:MS or lognormal:MEDIAN_MS:P99_MS.")
        parser.add_argument("--fail", default="", help="Shares of calls that fail, for example 429:0.05,500:0.01,hang:0.001,cut:0.001.")
        parser.add_argument("--seed", type=int, default=1, help="The same seed draws the same latencies and failures.")

    def handle(self, *_: Any, port: int, latency: str, fail: str, seed: int, **__: Any) -> None:
        if not 1 <= port <= 65535:
            raise CommandError(f"Port {port} can't be had: ports are 1 to 65535.")
        chance = Random(seed)  # noqa: S311 -- a simulation
        try:
            simulator = Simulator(latency=read_latency(latency, chance), failures=read_failures(fail), chance=chance)
        except SimulationInvalidError as error:
            raise CommandError(str(error)) from error
        with suppress(asyncio.CancelledError, KeyboardInterrupt):
            try:
                uvloop.run(self._serve(simulator, port))
            except OSError as error:
                raise CommandError(f"Port {port} can't be had: {error}") from error

    async def _serve(self, simulator: Simulator, port: int) -> None:
        task = asyncio.current_task()
        if task:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)

        def listening() -> None:
            self.stdout.write(f"The simulated provider listens on http://127.0.0.1:{port}/v1")
            self.stdout.flush()

        await serve(simulator, port=port, listening=listening)
