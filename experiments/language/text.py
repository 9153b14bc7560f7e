"""A text as numbers: its characters, its training and held-out parts, and their windows."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from backends import HostArray
from experiments.shared.errors import DatasetError

ALICE: Final = Path(__file__).parent / "alice.txt"
HELD_OUT_SHARE: Final = 0.1
UNCOUNTED: Final = -1  # the target of a position that the loss ignores
_MOST_CHARACTERS: Final = 256
_OVERLAP: Final = 4


@dataclass(frozen=True)
class Text:
    """A text whose last part is held out.

    Attributes:
        name: the name of the text.
        characters: the different characters, sorted; the id of a character is its index.
        ids: (length,) uint8, the whole text.
        held_out: the number of held-out characters, at the end.
    """

    name: str
    characters: str
    ids: HostArray
    held_out: int

    @property
    def start(self) -> int:
        """The index of the first held-out character."""
        return len(self.ids) - self.held_out

    @property
    def training_ids(self) -> HostArray:
        """The ids of the training text."""
        return self.ids[: self.start]

    def encode(self, text: str) -> HostArray:
        """Return the ids of some characters.

        Raises:
            DatasetError: a character does not occur in this text.
        """
        unknown = [character for character in text if character not in self._ids]
        if unknown:
            raise DatasetError(
                f"the prompt has the character {unknown[0]!r}, which does not occur in {self.name}; "
                f"expected only characters of {self.characters!r}"
            )
        return np.array([self._ids[character] for character in text], np.uint8)

    def decode(self, ids: HostArray) -> str:
        """Return the characters of some ids."""
        return "".join(self.characters[index] for index in ids)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {character: index for index, character in enumerate(self.characters)}


def read_text(path: Path, context: int) -> Text:
    """Read a text, and hold out its last tenth, rounded down to whole windows.

    Args:
        path: a file in UTF-8.
        context: how many characters the model sees.

    Raises:
        DatasetError: it cannot be read, has too many different characters, or is too short.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"the text {path} cannot be read: {error}") from error
    return make_text(path.name, text, context)


def make_text(name: str, text: str, context: int) -> Text:
    """Return a text with its last tenth held out, as `read_text` does."""
    characters = "".join(sorted(set(text)))
    if len(characters) > _MOST_CHARACTERS:
        raise DatasetError(
            f"{name} has {len(characters):,} different characters, expected at most {_MOST_CHARACTERS}"
        )
    counted = context - context // 2
    held_out = int(HELD_OUT_SHARE * len(text)) // counted * counted
    if held_out == 0 or len(text) - held_out <= context:
        raise DatasetError(
            f"{name} has {len(text):,} characters, too few for a context of {context}: the held-out "
            f"tenth needs at least {counted} characters, and the rest more than {context}"
        )
    ids = {character: index for index, character in enumerate(characters)}
    encoded = np.array([ids[character] for character in text], np.uint8)
    return Text(name, characters, encoded, held_out)


def training_windows(text: Text, context: int, batch_size: int) -> tuple[HostArray, HostArray]:
    """Return overlapping windows of the training text, and the next character at each position.

    The windows are evenly spaced and make full batches. A character is in about four windows, at
    different positions.

    Returns:
        x and y, (windows, context) uint8.

    Raises:
        DatasetError: there are fewer windows than a batch needs.
    """
    windows = _windows(text.training_ids, context + 1)
    if batch_size > len(windows):
        raise DatasetError(
            f"{text.name} has {len(windows):,} windows of {context} characters to train on, too few for "
            f"a batch of {batch_size:,}"
        )
    batches = max(round(_OVERLAP * len(windows) / (context * batch_size)), 1)
    spaced = windows[np.linspace(0, len(windows) - 1, batches * batch_size).astype(np.int64)]
    return spaced[:, :-1], spaced[:, 1:]


def held_out_windows(text: Text, context: int) -> tuple[HostArray, HostArray]:
    """Return windows in which each held-out character is predicted once.

    Characters are predicted in the second half of a window, after half a context. The targets of the
    first half are `UNCOUNTED`.

    Returns:
        x (windows, context) uint8, and y (windows, context) int32.
    """
    uncounted = context // 2
    ids = text.ids[text.start - uncounted - 1 :]
    windows = _windows(ids, context + 1)[:: context - uncounted]
    y = windows[:, 1:].astype(np.int32)
    y[:, :uncounted] = UNCOUNTED
    return windows[:, :-1], y


def _windows(ids: HostArray, length: int) -> HostArray:
    return np.lib.stride_tricks.sliding_window_view(ids, length)
