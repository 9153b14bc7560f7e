"""The test suite. Helpers are in `tests.support`; the other folders follow the sources."""
