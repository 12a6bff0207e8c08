"""The command `orlop`: one subcommand a file."""
