"""How a workspace can be made; each module is one adapter of the port `workers.workspace`."""
