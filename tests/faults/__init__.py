"""The error table: each mistake or failure gives one clear error, and nothing is lost."""
