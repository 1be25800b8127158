"""What we say: named prompts with numbered versions that never change once published, and how a context is put together of sections."""
