"""Celery's settings, read when the application is first used; docs/architecture.md says why each is as it is."""

from __future__ import annotations

from orchestrator.config import settings
from orchestrator.courier import CONTROL_QUEUE, RECONCILE
from orchestrator.couriers.celery import TRANSPORT

RECONCILE_EVERY = 2.0  # seconds

broker_url = settings().redis_url
broker_transport_options = TRANSPORT
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # a worker never gives up on Redis
imports = ("workers.steps", "workers.control")

task_default_queue = CONTROL_QUEUE
task_ignore_result = True
task_acks_late = False  # a message is a wake-up call: what is lost is found by its lease, never by the broker
task_reject_on_worker_lost = True
task_publish_retry_policy = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}
task_serializer = "json"
accept_content = ("json",)

worker_consumer = "workers.consumer:SoonBack"
worker_prefetch_multiplier = 1
worker_disable_prefetch = True
worker_soft_shutdown_timeout = 3  # of the control worker; a host's is in workers/stopping.py
worker_enable_soft_shutdown_on_idle = False
worker_hijack_root_logger = False
worker_redirect_stdouts = False
worker_cancel_long_running_tasks_on_connection_loss = False

beat_schedule = {
    "reconcile": {
        "task": RECONCILE,
        "schedule": RECONCILE_EVERY,
        "options": {"queue": CONTROL_QUEUE, "expires": RECONCILE_EVERY * 5},
    },
}
timezone = "UTC"
