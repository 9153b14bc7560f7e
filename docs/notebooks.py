"""Execute the tutorials and write them as notebooks: ``python docs/notebooks.py [FOLDER]``."""

import argparse
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

TUTORIALS = Path(__file__).parent / "tutorials"


def main() -> None:
    """Write an executed ``.ipynb`` file for each tutorial, and print the time that it took.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raises an error; the message shows both.
    """
    parser = argparse.ArgumentParser(description="Execute the tutorials and write them as notebooks.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("build/notebooks"))
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(TUTORIALS.glob("*.md")):
        notebook = jupytext.read(source)
        if "kernelspec" in notebook.metadata:
            start = time.perf_counter()
            NotebookClient(notebook, resources={"metadata": {"path": str(folder)}}).execute()
            nbformat.write(notebook, path := folder / f"{source.stem}.ipynb")
            print(f"{path}  {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
