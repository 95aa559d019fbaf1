"""What kinds of work there are. Knows nothing of Redis, Celery or git."""
