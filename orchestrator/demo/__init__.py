"""The demonstration: a repository made for it, scripted agents that really edit files, and the tasks they are given."""
