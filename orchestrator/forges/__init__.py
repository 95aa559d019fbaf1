"""Where changes can live; each module is one adapter of the port `orchestrator.forge`."""
