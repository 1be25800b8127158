"""The kinds of providers: the word that tables and files have, and its name for people. Each has its adapter."""

KINDS = {"openai": "OpenAI-compatible", "anthropic": "Anthropic"}
USUAL_KIND = "openai"
