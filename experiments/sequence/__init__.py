"""The adding problem: sequences that need a long memory."""
