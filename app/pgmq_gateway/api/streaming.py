"""The response to a client that prefers a stream of messages to an array."""

from contextlib import ExitStack

import msgspec

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Call
from pgmq_gateway.calls.catalog import Catalog
from pgmq_gateway.errors import StreamUnsupported
from pgmq_gateway.http.request import Request
from pgmq_gateway.http.response import StreamedResponse
from pgmq_gateway.postgrest.preferences import Preferences
from pgmq_gateway.postgrest.resources import Address, StreamOptions
from pgmq_gateway.waiting.events import MEDIA_TYPE
from pgmq_gateway.waiting.renewal import Renewal
from pgmq_gateway.waiting.stream import Streams
from pgmq_gateway.waiting.stream_calls import StreamCalls

# The last one keeps nginx from collecting events before it passes them on.
HEADERS = (("Content-Type", f"{MEDIA_TYPE}; charset=utf-8"), ("X-Accel-Buffering", "no"))


async def streamed(
    streams: Streams,
    caller: Caller,
    request: Request,
    read: Call,
    address: Address,
    options: StreamOptions,
    catalog: Catalog,
) -> StreamedResponse:
    """A stream whose first read was allowed.

    Raises what that read raises, StreamUnsupported, WaitLimitReached and TooManyWaiting.
    """
    if not request.can_stream:
        raise StreamUnsupported
    renewal = None if options.renew_seconds is None else Renewal(options.renew_seconds, options.lease)
    # handling, and the time that it waits, are those of a request.
    preferences = Preferences(rollback=read.preferences.rollback)
    calls = StreamCalls(msgspec.structs.replace(read, preferences=preferences, wait=0), address.given, catalog)
    with ExitStack() as stack:
        # It keeps its places while its client has no credit too.
        stack.enter_context(request.waiting())
        stack.enter_context(streams.executor.place())
        stream = await streams.stream(caller, calls, options.credit, renewal)
        held = stack.pop_all()

    async def close() -> None:
        with held:
            await stream.close()

    return StreamedResponse(200, HEADERS, run=stream.run, close=close)
