"""Flower's settings: read only, behind a password, with every queue on its broker page. Flower runs this file as Python."""

import hashlib
import os

from flower.views import BaseHandler
from flower.views.monitor import Metrics
from tornado.web import authenticated

# By itself Flower lists the queues that workers consume; nobody consumes dead_letter, whose depth is what people look for.
BaseHandler.get_active_queue_names = lambda self: sorted(queue.name for queue in self.capp.conf.task_queues)

_usual_headers = BaseHandler.set_default_headers


def _set_safe_headers(handler: BaseHandler) -> None:
    """No frames, no copies that stay, no word on the server's version. Flower's pages have inline scripts, so the policy is partial."""
    _usual_headers(handler)
    handler.clear_header("Server")
    handler.set_header("Content-Security-Policy", "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
    handler.set_header("X-Frame-Options", "DENY")
    handler.set_header("Referrer-Policy", "same-origin")
    handler.set_header("Cache-Control", "no-store")


BaseHandler.set_default_headers = _set_safe_headers
# By itself Flower tells its figures to everybody.
Metrics.get = authenticated(Metrics.get)

address = os.environ.get("AIPLATFORM_FLOWER_ADDRESS", "127.0.0.1")
url_prefix = "flower"
read_only = True
basic_auth = ["admin:" + os.environ["AIPLATFORM_FLOWER_PASSWORD"]]
cookie_secret = hashlib.sha256(f"flower:{os.environ['SECRET_KEY']}".encode()).hexdigest()
max_tasks = 20_000
purge_offline_workers = 300
inspect_timeout = 5000.0
tasks_columns = "name,uuid,state,kwargs,result,received,started,runtime,worker,retries"
