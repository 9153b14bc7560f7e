"""Parts that all experiments use: command line, records, tables, pictures."""
