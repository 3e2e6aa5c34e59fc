"""The `luxscaler` command. Only this package knows typer and rich."""
