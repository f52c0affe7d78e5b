"""The machinery of the command line: options, help, completion, signals. No command lives here."""
