"""Fixtures for every test."""

from tests.simulated import simulated_provider, simulator

__all__ = ["simulated_provider", "simulator"]
