"""Pure rules, without a server, a process or a clock."""
