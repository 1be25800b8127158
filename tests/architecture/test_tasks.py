"""Every name that is rung for belongs to a task, on a queue that exists, and the schedule names tasks that exist."""

import ast

from aiplatform.celery import QUEUES, app
from apps.lib.rings import is_known_type, read_arguments
from tests.architecture.source import functions, modules


def rung() -> list[tuple[str, str | None]]:
    """(task name, queue when it is written out) of every enqueue() in the product."""
    found = []
    for tree in modules().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "enqueue":
                name = node.args[0]
                queue = next((keyword.value for keyword in node.keywords if keyword.arg == "queue"), None)
                if isinstance(name, ast.Constant):
                    found.append((name.value, queue.value if isinstance(queue, ast.Constant) else None))
    return found


def test_every_ring_has_a_task_and_a_queue() -> None:
    app.loader.import_default_modules()
    assert rung()
    assert [name for name, _ in rung() if name not in app.tasks] == []
    assert [queue for _, queue in rung() if queue not in {None, *QUEUES}] == []


def test_every_scheduled_task_exists() -> None:
    app.loader.import_default_modules()
    assert app.conf.beat_schedule
    assert [entry["task"] for entry in app.conf.beat_schedule.values() if entry["task"] not in app.tasks] == []


def test_every_argument_of_a_task_has_a_type_that_messages_are_held_to() -> None:
    app.loader.import_default_modules()
    ours = {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}
    hints = [(name, hint) for name, task in ours.items() for hint in read_arguments(task.run)[0].values()]
    assert hints
    assert [name for name, hint in hints if not is_known_type(hint)] == []
    assert [name for name, task in ours.items() if getattr(task, "only_on", QUEUES[0]) not in QUEUES] == []


def test_a_task_is_one_statement() -> None:
    long = [
        f"{path}:{node.name}"
        for path, node in functions()
        if path.name == "tasks.py"
        and len([part for part in node.body if not isinstance(part, ast.Expr) or isinstance(part.value, ast.Call)]) > 1
    ]
    assert long == []


def test_only_enqueue_publishes() -> None:
    publishers = [
        str(path)
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"delay", "apply_async", "send_task"}
    ]
    assert publishers == ["apps/lib/enqueue.py"]
