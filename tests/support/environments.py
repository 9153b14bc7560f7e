"""Virtual environments with exactly the packages that a ``pip install`` line names; no network."""

import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.helpers import ROOT


def build_wheel(folder: Path) -> Path:
    """Build the wheel of multinn in a folder, and return its path."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def make_environment(folder: Path, requirements: Iterable[str], *places: Path) -> Path:
    """Return the interpreter of a new virtual environment without any other package.

    Args:
        folder: of the environment.
        requirements: as for pip, such as ``multinn[sklearn]``. All but multinn, and their dependencies,
            are linked from the running environment.
        places: packages to link too.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in dependencies(requirements) - {"multinn"}:
        files = distribution(name).files or ()
        tops = {file.parts[0] for file in files} - {"..", "__pycache__"}
        places += tuple(Path(str(distribution(name).locate_file(top))) for top in tops)
    for place in places:
        link = site / place.name
        if not link.exists():  # packages may share a namespace
            link.symlink_to(place)
    return folder / "bin" / "python"


def dependencies(requirements: Iterable[str]) -> set[str]:
    """Return the normalized names of the required packages and of all that they depend on."""
    pending = [Requirement(text) for text in requirements]
    seen: set[tuple[str, str]] = set()
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras} - {known for package, known in seen if package == name}:
            seen.add((name, extra))
            pending += _requirements(name, extra)
    return {name for name, _ in seen}


def _requirements(name: str, extra: str) -> list[Requirement]:
    """Return what a package requires with an extra, or without any."""
    if name == "multinn":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        texts = project["optional-dependencies"][extra] if extra else project["dependencies"]
        return [Requirement(text) for text in texts]
    requirements = [Requirement(text) for text in distribution(name).requires or ()]
    return [
        each for each in requirements if each.marker is None or each.marker.evaluate({"extra": extra})
    ]
