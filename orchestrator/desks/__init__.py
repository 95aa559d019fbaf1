"""The adapters of the desk: on the fleet's own store, and over the API."""
