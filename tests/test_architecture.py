"""Rules of the architecture, checked in the source code."""

import ast
import itertools
import re
import tomllib
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

import pytest

from backends import Backend
from tests.support.helpers import ROOT, run_python

ARRAY_LIBRARIES = {
    "array_api_compat",
    "array_api_extra",
    "array_api_strict",
    "cupy",
    "cupyx",
    "dask",
    "jax",
    "jaxlib",
    "mlx",
    "tensorflow",
    "torch",
}
OPTIONAL_LIBRARIES = ARRAY_LIBRARIES | {
    "anywidget",
    "IPython",
    "keras",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "optax",
    "rich",
    "safetensors",
    "scipy",
    "sklearn",
    "sympy",
    "thinc",
}

# The only files that import array libraries other than NumPy, and these libraries.
BACKENDS = {
    "backends/cupy_backend.py": {"array_api_compat", "cupy", "cupyx"},
    "backends/jax_backend.py": {"jax"},
    "backends/torch_backend.py": {"array_api_compat", "torch"},
}

# Files that may import an array library, in a function, and the reason.
LAZY_IMPORTS = {
    "experiments/competitors/jax_grad_optax.py": "a competitor in measurements of speed",
    "experiments/compare_jax_grad/plain_jax.py": "a competitor in measurements of speed",
    "experiments/competitors/torch_models.py": "a competitor in measurements of speed",
}

# Packages that import optional libraries at once, since only users of these libraries import them.
WHOLE_PACKAGES = {"multinn/sklearn": {"scipy", "sklearn"}}

# Files that may import a package above their own, in a function, and the reason.
UPWARDS = {
    "backends/conformance/__main__.py": "a long run shows the progress of multinn",
    "backends/conformance/library.py": "layers and training on a backend are checked, too",
}

MOST_LINES = 500  # of a file
MOST_FILES = {"multinn": 8, "experiments": 7}  # at the root of a package


def sources(package: str) -> dict[str, ast.Module]:
    """Return the syntax trees of the files of a package, by path."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / package).rglob("*.py"))
    }


PACKAGES = {package: sources(package) for package in ("backends", "multinn", "experiments")}
ALL = {path: tree for files in PACKAGES.values() for path, tree in files.items()}
ABOVE_BACKENDS = PACKAGES["multinn"] | PACKAGES["experiments"]


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield each module that is imported anywhere in the tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def tops(tree: ast.AST) -> set[str]:
    return {name.partition(".")[0] for name in imported(tree)}


def at_module_level(tree: ast.Module) -> ast.Module:
    """Return the tree without functions, and without code for type checkers."""

    class Outside(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)

    outside: ast.Module = Outside().visit(ast.parse(ast.unparse(tree)))
    return outside


def places(violation: dict[str, list[str]]) -> str:
    return "\n".join(f"{path}: {line}" for path, lines in violation.items() for line in lines)


def violations(files: dict[str, ast.Module], kind: type[ast.AST], test: Callable[[Any], bool]) -> str:
    """Return the nodes of a type for which the test is true, a line for each."""
    return "\n".join(
        f"{path}:{node.lineno}: {ast.unparse(node)}"
        for path, tree in files.items()
        for node in ast.walk(tree)
        if isinstance(node, kind) and test(node)
    )


def test_the_sources_are_found():
    assert {
        "backends/registry.py",
        "multinn/layers/dense.py",
        "experiments/shared/command_line.py",
    } <= set(ALL)


@pytest.mark.parametrize(
    ("package", "above"),
    [
        ("backends", {"multinn", "experiments", "tests"}),
        ("multinn", {"experiments", "tests"}),
        ("experiments", {"tests"}),
    ],
)
def test_dependencies_run_one_way(package, above):
    upwards = {path: tops(tree) & above for path, tree in PACKAGES[package].items()}
    for path in upwards.keys() & UPWARDS.keys():
        upwards[path] &= tops(at_module_level(ALL[path])) | {"experiments", "tests"}
    assert not any(upwards.values()), places({path: sorted(found) for path, found in upwards.items()})


def test_no_file_is_long():
    lines = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in ALL}
    long = [f"{path} has {count}" for path, count in lines.items() if count > MOST_LINES]
    assert not long, f"expected files of at most {MOST_LINES} lines: " + ", ".join(long)


@pytest.mark.parametrize("package", MOST_FILES)
def test_the_root_of_a_package_holds_few_files(package):
    files = [path.name for path in (ROOT / package).iterdir() if path.is_file()]
    assert len(files) <= MOST_FILES[package], sorted(files)


def test_no_two_files_import_each_other():
    """There is no cycle of imports, not even in functions or for type checkers."""
    graph = {module_of(path): imported_modules(tree) for path, tree in ALL.items()}
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail("a cycle of imports: " + " <- ".join(error.args[1]))


def module_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported_modules(tree: ast.AST) -> set[str]:
    """Return the modules of the project that are imported anywhere in the tree."""
    modules = {module_of(path) for path in ALL}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else str(node.module) for name in names}
    return found & modules


def test_imports_are_absolute():
    relative = {path: [name for name in imported(tree) if name[0] == "."] for path, tree in ALL.items()}
    assert not any(relative.values()), places(relative)


def test_only_the_file_of_its_backend_imports_an_array_library():
    found = {path: tops(tree) & ARRAY_LIBRARIES for path, tree in PACKAGES["backends"].items()}
    assert {path: names for path, names in found.items() if names} == BACKENDS


def test_multinn_imports_no_array_library_and_no_single_backend():
    """It imports only the package `backends` itself, `backends.tree` and `backends.windows`."""
    inside = {path.stem for path in (ROOT / "backends").iterdir()} - {"tree", "windows"}
    forbidden = ARRAY_LIBRARIES | {f"backends.{name}" for name in inside}
    found = {
        path: sorted(name for name in imported(tree) if within(name, forbidden))
        for path, tree in PACKAGES["multinn"].items()
    }
    assert not any(found.values()), places(found)


def within(name: str, modules: set[str]) -> bool:
    """Return whether the name is one of the modules, or in one of them."""
    return any(f"{name}.".startswith(f"{module}.") for module in modules)


def test_only_listed_experiments_import_array_libraries():
    found = {path for path, tree in PACKAGES["experiments"].items() if tops(tree) & ARRAY_LIBRARIES}
    assert found <= set(LAZY_IMPORTS)


def test_optional_libraries_are_imported_in_functions():
    files = {path: tree for path, tree in ALL.items() if path not in BACKENDS}
    found = {
        path: sorted(
            tops(at_module_level(tree)) & OPTIONAL_LIBRARIES - WHOLE_PACKAGES.get(package(path), set())
        )
        for path, tree in files.items()
    }
    assert not any(found.values()), places(found)


def package(path: str) -> str:
    return path.rpartition("/")[0]


def test_no_code_outside_backends_depends_on_the_name_of_a_backend():
    """A name is never compared, matched or parsed, only shown."""

    def depends_on_name(node: ast.AST) -> bool:
        if isinstance(node, ast.Compare):
            return any(is_a_name(part) for part in (node.left, *node.comparators))
        if isinstance(node, ast.Match):
            return is_a_name(node.subject)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return is_a_name(node.func.value)
        return False

    def is_a_name(node: ast.AST) -> bool:
        if isinstance(node, ast.Constant):
            return node.value in ("numpy", "jax", "torch", "cupy")
        return isinstance(node, ast.Attribute) and ast.unparse(node).endswith("backend.name")

    assert not violations(ABOVE_BACKENDS, ast.AST, depends_on_name)


def test_no_code_outside_backends_depends_on_the_class_or_namespace_of_a_backend():
    def depends_on_class(node: ast.AST) -> bool:
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            return "Backend" in ast.unparse(node.args[1])
        if isinstance(node, ast.Compare):
            parts = [ast.unparse(part) for part in (node.left, *node.comparators)]
            return any(part.endswith((".xp", "Backend")) or part == "xp" for part in parts)
        return False

    assert not violations(ABOVE_BACKENDS, ast.AST, depends_on_class)


def test_one_file_reads_the_environment_variable():
    def names_it(node: ast.AST) -> bool:
        return (isinstance(node, ast.Constant) and node.value == "MULTINN_BACKEND") or (
            isinstance(node, ast.Name) and node.id == "ENVIRONMENT_VARIABLE"
        )

    files = {path for path, tree in ALL.items() if any(names_it(node) for node in ast.walk(tree))}
    assert files == {"backends/registry.py"}


def test_only_progress_and_commands_print_in_multinn_and_backends():
    def prints(node: ast.Call) -> bool:
        return ast.unparse(node.func) in ("print", "sys.stdout.write", "sys.stderr.write")

    files = PACKAGES["backends"] | PACKAGES["multinn"]
    for path in ("multinn/host/progress.py", "backends/__main__.py", "backends/conformance/__main__.py"):
        del files[path]
    assert not violations(files, ast.Call, prints)


def test_nothing_is_pickled():
    pickles = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    found = {path: sorted(tops(tree) & pickles) for path, tree in ALL.items()}
    assert not any(found.values()), places(found)
    assert not violations(ALL, ast.keyword, lambda node: node.arg == "allow_pickle" and node.value.value)


def test_no_global_setting_of_a_library_is_changed():
    def changes(node: ast.AST) -> bool:
        return isinstance(node, ast.Attribute) and ast.unparse(node) in (
            "jax.config",
            "torch.set_default_device",
            "torch.set_default_dtype",
            "torch.set_grad_enabled",
            "torch.set_num_threads",
            "np.seterr",
            "numpy.seterr",
            "np.random.seed",
        )

    files = {
        path: without_keep_compiled(tree)
        for path, tree in (PACKAGES["backends"] | PACKAGES["multinn"]).items()
    }
    assert not violations(files, ast.AST, changes)


def without_keep_compiled(tree: ast.Module) -> ast.Module:
    """Return the tree without `Backend.keep_compiled`, which changes a global setting on request."""

    class Rest(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST | None:
            return None if node.name == "keep_compiled" else self.generic_visit(node)

    rest: ast.Module = Rest().visit(ast.parse(ast.unparse(tree)))
    return rest


def test_the_contract_of_a_backend_stays_thin():
    """A new member must do what no composition of the standard's functions can do."""
    assert Backend.__abstractmethods__ == {
        "version",
        "from_numpy",
        "to_numpy",
        "scatter_add",
        "jit",
        "scan",
        "sync",
        "precision",
    }


def test_importing_multinn_imports_no_optional_library():
    result = run_python("import sys, backends, multinn; print(*sys.modules)")
    assert result.stderr == ""
    modules = {name.partition(".")[0] for name in result.stdout.split()}
    assert "multinn" in modules
    assert not modules & OPTIONAL_LIBRARIES


def test_the_lowest_declared_versions_are_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = dict(re.findall(r"([\w-]+)>=([\d.]+)", " ".join(itertools.chain(*groups))))
    pinned = (ROOT / "tests" / "lowest-versions.txt").read_text()
    tested = dict(re.findall(r"^([\w-]+)==([\d.]+)$", pinned, flags=re.MULTILINE))
    for name, version in declared.items():
        assert f"{tested[name]}.".startswith(f"{version}."), name
