"""What holds layers, losses and backends to their gradients; used by tests and checks, not to train."""
