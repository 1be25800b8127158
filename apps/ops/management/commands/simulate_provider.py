"""`manage.py simulate_provider`: a provider that costs nothing, for tests, benchmarks and load tests."""

import asyncio
import signal
from argparse import ArgumentParser
from contextlib import suppress
from random import Random
from typing import Any

import uvloop
from django.core.management.base import BaseCommand, CommandError

from apps.ops.domain.behaviour import Behaviour, read_behaviour
from apps.ops.domain.simulation import SimulationInvalidError
from apps.ops.simulator.server import serve
from apps.ops.simulator.simulator import Simulator

_LIMITS = ("requests_per_minute", "tokens_per_minute", "input_tokens_per_minute", "output_tokens_per_minute")
_OPTIONS = ("latency", "fail", "script", *_LIMITS, "drift_per_minute")


class Command(BaseCommand):
    """Serves OpenAI's and Anthropic's shapes on loopback until it is stopped."""

    help = "Serve a simulated provider, OpenAI-compatible and Anthropic, on 127.0.0.1; docs/simulator.md tells what it can do."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, required=True)
        parser.add_argument("--latency", default="fixed:50", help="fixed:MS, uniform:MS:MS or lognormal:MEDIAN_MS:P99_MS.")
        parser.add_argument("--fail", default="", help="Shares of calls that fail, for example 429:0.05,500:0.01,hang:0.001,cut:0.001.")
        parser.add_argument("--script", default="", help='What every call comes to, for example "status=503 retry_after=2".')
        for limit in _LIMITS:
            parser.add_argument(f"--{limit.replace('_', '-')}", type=int, help="More in any sixty seconds answer 429.")
        parser.add_argument("--drift-per-minute", type=float, default=1.0, help="Latencies are multiplied by this each minute.")
        parser.add_argument("--seed", type=int, default=1, help="The same seed draws the same latencies and failures.")

    def handle(self, *_: Any, port: int, seed: int, **options: Any) -> None:
        if not 1 <= port <= 65535:
            raise CommandError(f"Port {port} can't be had: ports are 1 to 65535.")
        chance = Random(seed)  # noqa: S311 -- a simulation
        try:
            values = {name: options[name] for name in _OPTIONS if options[name] is not None}
            simulator = Simulator(read_behaviour(values, Behaviour(latency=float), chance), chance=chance)
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
