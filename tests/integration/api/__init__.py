"""The API as a process and as a server on loopback."""
