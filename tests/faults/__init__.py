"""The error table: what goes wrong for a user, what the library says, and that nothing is lost."""
