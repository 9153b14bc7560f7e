"""The records of a run, as a table of text and as curves."""

import math
from collections.abc import Iterable, Mapping, Sequence

from multinn.descriptions.curves import chart
from multinn.host.text import number

_WIDTH = 80
_MOST_ROWS = 12

Records = Sequence[Mapping[str, float]]


def table_of(records: Records) -> str:
    """Return a table, at most 80 columns wide; it leaves out the middle of many records.

    Columns that do not fit follow in a second table.
    """
    half = _MOST_ROWS // 2
    is_long = len(records) > _MOST_ROWS
    shown = [*records[:half], *records[-half:]] if is_long else records
    columns = {}
    for name in _names(records):
        cells = [name, *(number(record[name]) if name in record else "" for record in shown)]
        if is_long:
            cells.insert(half + 1, "...")
        width = max(map(len, cells))
        columns[name] = [cell.rjust(width) for cell in cells]
    return "\n\n".join(map(_joined, _groups(columns)))


def curves_of(records: Records) -> str:
    """Return charts as SVG: for each number by epoch a curve, and dashed, the one of the validation."""
    return "".join(chart(name, "epoch", own) for name, own in panels_of(records).items())


def panels_of(records: Records) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Return for each name the points (epoch, value) of "training", and those of "validation".

    A name is left out if none of its values is finite.
    """
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name in _names(records):
        base = name.removeprefix("validation_")
        kind = "training" if base == name else "validation"
        points = [
            (record.get("epoch", index), record[name])
            for index, record in enumerate(records, 1)
            if name in record
        ]
        if name != "epoch" and any(math.isfinite(y) for _, y in points):
            curves.setdefault(base, {})[kind] = points
    return curves


def _names(records: Records) -> Iterable[str]:
    """Return the names in all records, in the order in which they come."""
    return dict.fromkeys(name for record in records for name in record)


def _groups(columns: Mapping[str, list[str]]) -> list[list[list[str]]]:
    """Return the columns in groups that are narrow enough; the epoch comes first in each."""
    first = [columns["epoch"]] if "epoch" in columns else []
    groups = [list(first)]
    for name, column in columns.items():
        if name == "epoch":
            continue
        width = sum(len(each[0]) + 2 for each in [*groups[-1], column]) - 2
        if width > _WIDTH and len(groups[-1]) > len(first):
            groups.append(list(first))
        groups[-1].append(column)
    return groups


def _joined(columns: Iterable[list[str]]) -> str:
    return "\n".join("  ".join(cells) for cells in zip(*columns, strict=True))
