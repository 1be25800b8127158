"""Which prompt a request means by name and number."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from apps.prompts.domain.content import PublishedPrompt

_KEPT_CHARACTERS = 64 << 20


class PromptUnknownError(Exception):
    """There is no such prompt, or not in this version; `field` is the part of the reference that is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


@dataclass(frozen=True, slots=True)
class Standing:
    """A prompt as it stands: by its number the row of each published version, None of one that can't be used; and the current number."""

    current: int | None
    versions: Mapping[int, UUID | None]

    def find(self, name: str, number: int | None) -> UUID:
        """The row that is meant; PromptUnknownError says what is wrong with the name or the number."""
        wanted = self.current if number is None else number
        key = None if wanted is None else self.versions.get(wanted)
        if key is None:
            raise no_version(name, number, is_known=number in self.versions)
        return key


def no_prompt(name: str) -> PromptUnknownError:
    """The refusal for a name that the workspace has no prompt for."""
    return PromptUnknownError("id", f"There is no prompt {name[:100]!r} in this workspace.")


def no_version(name: str, number: int | None, *, is_known: bool) -> PromptUnknownError:
    """The refusal for a version that is not there (`is_known`: not published), or where none is current."""
    if number is None:
        return PromptUnknownError("id", f"The prompt {name!r} has no published version.")
    if is_known:
        return PromptUnknownError("version", f"Version {number} of the prompt {name!r} is not published.")
    return PromptUnknownError("version", f"The prompt {name!r} has no version {number}.")


@dataclass(slots=True)
class PromptBook:
    """A workspace's prompts, each as it stood when it was first looked up: all lines of a file mean the same by a name.

    Names are read once, so that a file of unknown ones costs no query each. Contents are kept as long as there is room for them.
    """

    read_names: Callable[[], Mapping[str, UUID]]
    read_standing: Callable[[UUID], Standing]
    read_prompt: Callable[[UUID], PublishedPrompt]
    room: int = _KEPT_CHARACTERS
    _names: Mapping[str, UUID] | None = field(default=None, init=False)
    _standings: dict[str, Standing] = field(default_factory=dict, init=False)
    _contents: OrderedDict[UUID, PublishedPrompt] = field(default_factory=OrderedDict, init=False)

    def find(self, name: str, number: int | None) -> PublishedPrompt:
        """PromptUnknownError says what is wrong with the name or the number."""
        key = self._standing(name).find(name, number)
        if key in self._contents:
            self._contents.move_to_end(key)
            return self._contents[key]
        found = self._contents[key] = self.read_prompt(key)
        self.room -= found.content.size
        while self.room < 0 and len(self._contents) > 1:
            self.room += self._contents.popitem(last=False)[1].content.size
        return found

    def _standing(self, name: str) -> Standing:
        if self._names is None:
            self._names = self.read_names()
        if name not in self._names:
            raise no_prompt(name)
        if name not in self._standings:
            self._standings[name] = self.read_standing(self._names[name])
        return self._standings[name]
