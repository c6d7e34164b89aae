"""A queue called jobs, on which each `sub` owns the messages that name it as their owner, and calls of many callers."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.gateways import Headers, RunningGateway
from tests.integration.crowd import HOLD, Crowd

OWNER = "message->>'owner' = current_setting('request.jwt.claims', true)::json->>'sub'"


def prepare(gateway: RunningGateway) -> None:
    """Create the queue, its policies, and the functions that callers use."""
    gateway.define(
        HOLD,
        "select pgmq_admin.create_queue('jobs')",
        "select pgmq_admin.grant_queue('jobs', 'authenticated', '{send, read, pop, archive, delete}')",
        f"create policy own on pgmq.q_jobs to authenticated using ({OWNER}) with check ({OWNER})",
        "alter table pgmq.a_jobs enable row level security",
        f"create policy own on pgmq.a_jobs to authenticated using ({OWNER}) with check ({OWNER})",
        "create function pgmq_public.complain(marker text) returns void volatile language plpgsql as "
        "$f$ begin raise '%', marker using detail = current_setting('request.jwt.claims')::json->>'sub'; end $f$",
    )


def empty(gateway: RunningGateway) -> None:
    """Delete all messages; the next one gets the id 1. TRUNCATE would make the judgement of the queue stale."""
    gateway.sql("with queue as (delete from pgmq.q_jobs) delete from pgmq.a_jobs")
    gateway.sql("select setval(pg_get_serial_sequence('pgmq.q_jobs', 'msg_id'), 1, false)")


@dataclass(frozen=True)
class Asked:
    """A caller's call."""

    sub: str
    function: str
    arguments: dict[str, Any] = field(hash=False)

    @property
    def body(self) -> str:
        return json.dumps(self.arguments)

    async def send(self, crowd: Crowd, callers: dict[str, Headers]) -> httpx.Response:
        headers = {**callers[self.sub], "Content-Profile": "pgmq_public", "Content-Type": "application/json"}
        return await crowd.client.post(f"/rpc/{self.function}", content=self.body, headers=headers)
