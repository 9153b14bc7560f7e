"""What can go wrong in an experiment, apart from the training itself."""


class DatasetError(Exception):
    """A data set that cannot be had, or that is not what it should be."""
