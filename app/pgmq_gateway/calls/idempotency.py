"""Idempotency keys: calls that can be repeated."""

import msgspec


class IdempotencyKey(msgspec.Struct, frozen=True):
    """The key of a call, in the scope of its caller.

    digest    SHA-256 of caller and key
    unstored  a pattern of response bodies that are not stored, because another attempt may have another result
    """

    digest: bytes
    unstored: str | None = None

    @property
    def lock(self) -> int:
        """The key of its advisory lock, a bigint."""
        return int.from_bytes(self.digest[:8], signed=True)
