"""Execute the tutorials and write them as notebooks: ``python docs/notebooks.py build/notebooks``."""

import argparse
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

TUTORIALS = Path(__file__).parent / "tutorials"


def main() -> None:
    """Write an executed notebook for each tutorial, and print the time that it took."""
    parser = argparse.ArgumentParser(description="Execute the tutorials and write them as notebooks.")
    parser.add_argument("folder", type=Path, help="where to write the files .ipynb")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(TUTORIALS.glob("*.md")):
        if source.name != "index.md":
            start = time.perf_counter()
            target = execute(source, folder)
            print(f"{target}  {time.perf_counter() - start:.1f} s", flush=True)


def execute(source: Path, folder: Path) -> Path:
    """Execute a notebook in MyST Markdown, and return the path of the file ``.ipynb`` with its outputs.

    Raises:
        CellExecutionError: a cell raised an error; no file is written.
    """
    notebook = jupytext.read(source)
    NotebookClient(notebook, resources={"metadata": {"path": str(folder)}}).execute()
    target = folder / f"{source.stem}.ipynb"
    nbformat.write(notebook, str(target))  # type: ignore[no-untyped-call]
    return target


if __name__ == "__main__":
    main()
