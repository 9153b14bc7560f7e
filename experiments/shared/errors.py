"""The errors of the experiments that the user can fix."""


class DatasetError(Exception):
    """A data set is unavailable, damaged, or not the expected one."""


class UsageError(Exception):
    """The options ask for something that does not exist, is not installed or does not fit together."""
