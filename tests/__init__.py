"""The test suite: shared helpers are imported as ``from tests.strict_backend import StrictBackend``."""
