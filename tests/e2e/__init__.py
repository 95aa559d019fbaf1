"""Whole behaviour: a real Redis server, real Celery workers, real git repositories, real agents' processes."""
