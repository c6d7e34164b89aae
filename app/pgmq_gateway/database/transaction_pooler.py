"""Connections through a pooler that runs each transaction in another session, such as PgBouncer in transaction mode."""

from pgmq_gateway.database.driver import SERVER_ERRORS, GatewayConnection


class PooledConnection(GatewayConnection):
    """A connection that runs each statement in a transaction. It has no cache of prepared statements.

    The driver sends a statement in two steps, prepare and execute, which the pooler could send to two sessions
    otherwise. The second one could have a statement of another client under the same (empty) name.
    """

    async def _execute(
        self,
        query: str,
        args: object,
        limit: int,
        timeout: float | None,  # noqa: ASYNC109
        **options: object,
    ) -> object:
        if self.is_in_transaction():
            return await super()._execute(query, args, limit, timeout, **options)  # type: ignore[misc]
        await self.execute("begin", timeout=timeout)
        try:
            result = await super()._execute(query, args, limit, timeout, **options)  # type: ignore[misc]
            await self.execute("commit", timeout=timeout)
        except SERVER_ERRORS:
            await self.execute("rollback", timeout=timeout)
            raise
        except BaseException:
            # A rollback could wait for the same unresponsive server.
            self.terminate()
            raise
        return result
