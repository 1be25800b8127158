"""What was said: conversations with their turns and summaries, and what is remembered of the people who speak.

Whoever asks a model is above (`apps.jobs`): here stand the state that a turn begins from, and what it becomes. A state is named by
its version, the hash of its last turn and the number of the last memory event; one state has one context, whoever composes it.
"""
