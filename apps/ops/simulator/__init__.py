"""A paid provider, simulated over real HTTP: OpenAI's shapes, latencies as in life, scripted failures, and a count of every call."""
