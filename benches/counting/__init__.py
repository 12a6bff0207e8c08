"""Instructions instead of seconds: what work costs on a machine that others use too, counted by valgrind."""
