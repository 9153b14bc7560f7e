"""Gradient checks of layers, losses and backends; training does not use this package."""
