"""What a run reported."""

from typing import overload

Record = dict[str, float]


class History(list[Record]):
    """A list of records, one a reported epoch: ``epoch``, ``loss``, metrics, validation_loss, ...

    A name in place of an index gives that column.

    Attributes:
        losses: the loss of every epoch, reported or not.
        interrupted: whether Ctrl-C ended the run that these are the records of.
        stopped: whether a callback did.

    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> history["loss"], history[-1]["epoch"]
    ([0.5, 0.25], 2)
    """

    losses: list[float]
    interrupted: bool
    stopped: bool

    def __init__(self, records: list[Record] | None = None) -> None:
        super().__init__(records or [])
        self.losses = []
        self.interrupted = False
        self.stopped = False

    @overload  # type: ignore[override]
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    @overload
    def __getitem__(self, index: str) -> list[float]: ...
    def __getitem__(self, index: int | slice | str) -> Record | list[Record] | list[float]:
        """Return a record, some records, or the column of that name.

        Raises:
            KeyError: no record has that name.
        """
        if not isinstance(index, str):
            return super().__getitem__(index)
        if not any(index in record for record in self):
            raise KeyError(f"{index!r} was not reported; there are {sorted(set().union(*self))}")
        return [record[index] for record in self if index in record]
