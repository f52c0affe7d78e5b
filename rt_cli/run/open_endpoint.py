"""The endpoint of a plan; the embedded one is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.events import Warned
from rt_cli.protocol.endpoint.endpoint import EMBEDDED_MODEL
from rt_cli.run.plan import endpoint_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack

    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.run.plan import Plan
    from rt_cli.server.replies.interface import Replier
    from rt_cli.settings import Settings


DEMO_CODE = "demo_quality"
"""Code of the warning that the embedded endpoint has no better recogniser than the demo."""


async def open_endpoint(
    settings: Settings,
    plan: Plan,
    stack: AsyncExitStack,
    *,
    on_embedded: Callable[[Warned, int], None],
    sessions: int | None = None,
    replier: Replier | None = None,
) -> Endpoint:
    """Return the endpoint of a plan.

    Args:
        settings: Of the run.
        plan: Of the run.
        stack: Stops the embedded endpoint at its end.
        on_embedded: Called if the embedded endpoint was started, with a warning about its
            recogniser and the most sessions at once.
        sessions: The most sessions of the embedded endpoint; None for its own limit.
        replier: Replies in conversations with the embedded endpoint.

    Raises:
        RtError: The embedded endpoint cannot be started.
    """
    url = plan.choice.url
    if url is None:
        # Import here: most runs have an endpoint elsewhere.
        from rt_cli.server.access.limits import Limits
        from rt_cli.server.server import serve

        limits = Limits() if sessions is None else Limits(sessions=sessions)
        server = await stack.enter_async_context(serve(limits=limits, recognizer=str(plan.recognizer), replier=replier))
        code = DEMO_CODE if server.recognizer == EMBEDDED_MODEL else "recognizer"
        on_embedded(Warned(code, server.notice, minor=True), limits.sessions)
        url = server.url
    endpoint = endpoint_of(settings, plan.key, url, plan.recognizer, conversation=plan.conversation)
    return endpoint.with_query(plan.session.query)
