"""Reading documents that others made: in processes of their own, with little memory and time, because such files may be hostile."""

from apps.knowledge.domain.limits import Limits
from apps.knowledge.extraction.archive import Member, is_archive, unpack
from apps.knowledge.extraction.extract import extract

__all__ = ["Limits", "Member", "extract", "is_archive", "unpack"]
