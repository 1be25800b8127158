"""Rules of prompts: variables, templates, and versions."""
