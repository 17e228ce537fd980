"""The composition root: names every concrete driver once and builds the processes."""

from holdfast.bootstrap.accounts import create_user, reset_user
from holdfast.bootstrap.alarms import AlarmProcess, report_failed_start
from holdfast.bootstrap.door import end_live_pages
from holdfast.bootstrap.listener import bounds_of, build_api, listener_config
from holdfast.bootstrap.metrics_port import serve_metrics
from holdfast.bootstrap.parts import Parts
from holdfast.bootstrap.policy import policy_of
from holdfast.bootstrap.processes import PLANS, SchedulerProcess, WorkerProcess
from holdfast.bootstrap.upkeep import diagnose, install_tools, list_tools, make_owner, setup_link

__all__ = [
    "PLANS",
    "AlarmProcess",
    "Parts",
    "SchedulerProcess",
    "WorkerProcess",
    "bounds_of",
    "build_api",
    "create_user",
    "diagnose",
    "end_live_pages",
    "install_tools",
    "list_tools",
    "listener_config",
    "make_owner",
    "policy_of",
    "report_failed_start",
    "reset_user",
    "serve_metrics",
    "setup_link",
]
