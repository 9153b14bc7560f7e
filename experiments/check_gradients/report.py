"""The report of the gradient checks: tables, failures, and the record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from backends import Backend
from experiments.check_gradients.oracles import (
    ALGEBRA,
    DIFFERENCES,
    FLOAT32,
    FLOAT64,
    FORM64,
    VJP,
    Check,
)
from experiments.check_gradients.proofs import Proofs
from experiments.shared.tables import format_table, paragraph

COLUMNS = (DIFFERENCES, VJP, FLOAT64, FLOAT32)


@dataclass
class Report:
    """The results of one run.

    Attributes:
        seed: the seed of the points.
        backends: the backends by name.
        checks: sorted by backend, then by case.
        proofs: the proofs by computer algebra, which hold for all backends.
        why_no_vjp: the reason why the oracle jax.vjp is missing; None if it is available.
        why_no_algebra: the reason why there are no proofs, or None.
    """

    seed: int
    backends: Mapping[str, Backend]
    checks: Sequence[Check]
    proofs: Proofs
    why_no_vjp: str | None
    why_no_algebra: str | None

    def print(self, brief: bool) -> None:
        """Print a table for each backend or, if brief, a single one, and the legend."""
        print(f"Relative errors of hand-derived gradients, at points drawn from seed {self.seed}")
        if brief:
            cases = len({check.case for check in self.checks})
            print(f"The largest errors of {cases} cases:\n\n{self._brief_table()}")
        for name, own in groupby([] if brief else self.checks, lambda check: check.backend):
            backend = self.backends[name]
            print(f"\n{name} {backend.version} on {backend.device}\n\n{self._table(list(own))}")
        print()
        for oracle in (*COLUMNS, FORM64):
            print(f"{oracle.name:8} {oracle.meaning}")
        if self.why_no_vjp:
            print(f"jax.vjp is left out:\n{paragraph(self.why_no_vjp)}")
        self._print_algebra()

    def conclude(self) -> int:
        """Print the failures and the totals; return the exit status."""
        failed = [check for check in self.checks if not check.passed]
        wrong = [proof for proof in self.proofs.proofs.values() if proof.wrong]
        print()
        for check in failed:
            line = (
                f"FAIL: {check.case}, {check.backend}, {check.oracle} in {check.dtype}: "
                f"{check.error:.2g} is above {check.tolerance:g}"
            )
            print(paragraph(line, indent="  "))
        for proof in wrong:
            line = f"FAIL: {proof.case}, algebra: not the derivative: {', '.join(proof.wrong)}"
            print(paragraph(line, indent="  "))
        passed = len(self.checks) - len(failed)
        print(f"{passed} of {len(self.checks)} comparisons are within their tolerance")
        if not self.why_no_algebra:
            proved = len(self.proofs.proofs) - len(wrong)
            cases = len(self.proofs.proofs) + len(self.proofs.not_reached)
            print(f"the gradients of {proved} of {cases} cases are proved by algebra")
        return 1 if failed or wrong else 0

    def results(self) -> list[dict[str, Any]]:
        """Return the results for the record: comparisons, proofs, then the cases without a proof."""
        results = [check._asdict() | {"passed": check.passed} for check in self.checks]
        for proof in self.proofs.proofs.values():
            own = {"case": proof.case, "oracle": ALGEBRA.name, "identities": proof.identities}
            own |= {"comparisons": proof.comparisons, "wrong": list(proof.wrong)}
            results.append(own | {"passed": not proof.wrong})
        for case, reason in self.proofs.not_reached.items():
            results.append({"case": case, "oracle": ALGEBRA.name, "not_reached": reason})
        return results

    def _print_algebra(self) -> None:
        if self.why_no_algebra:
            print(f"algebra is left out:\n{self.why_no_algebra}")
            return
        print(f"proved   equal, as formulas, to {ALGEBRA.meaning}")
        for case, reason in self.proofs.not_reached.items():
            print(paragraph(f"no proof by algebra for {case}: {reason}", indent="  "))

    def _table(self, checks: Sequence[Check]) -> str:
        rows = [_tolerances(checks)]
        for case, own in groupby(checks, lambda check: check.case):
            rows.append(_row(case, list(own), self._verdict_of_algebra([case])))
        return format_table(["case", *(oracle.name for oracle in COLUMNS), "result"], rows)

    def _brief_table(self) -> str:
        rows = [_tolerances(self.checks)]
        for name, checks in groupby(self.checks, lambda check: check.backend):
            own = list(checks)
            rows.append(_row(name, own, self._verdict_of_algebra([check.case for check in own])))
        return format_table(["backend", *(oracle.name for oracle in COLUMNS), "result"], rows)

    def _verdict_of_algebra(self, cases: Sequence[str]) -> str:
        proofs = [self.proofs.proofs.get(case) for case in cases]
        if any(proof is not None and proof.wrong for proof in proofs):
            return "FAIL"
        return "proved" if all(proofs) else "ok"


def _tolerances(checks: Sequence[Check]) -> list[str]:
    tolerances = {check.oracle: f"{check.tolerance:.0e}" for check in checks}
    return ["tolerance", *(tolerances.get(oracle.name, "-") for oracle in COLUMNS), ""]


def _row(title: str, checks: Sequence[Check], verdict: str) -> list[str]:
    """Return a row of the table: the largest error by each oracle, and the verdict."""
    errors: dict[str, float] = {}
    for check in checks:
        errors[check.oracle] = max(errors.get(check.oracle, 0.0), check.error)
    cells = [f"{errors[oracle.name]:.1e}" if oracle.name in errors else "-" for oracle in COLUMNS]
    return [title, *cells, verdict if all(check.passed for check in checks) else "FAIL"]
