"""The page of the resources at `/queues/…`, from the OpenAPI documents."""

from website.reference import markdown
from website.reference.documents import Operation, operations
from website.reference.markdown import code

INTRODUCTION = """
Requests to `/queues/…` (under `/rest/v1` too) call the functions of `pgmq_api` where that schema is exposed
(`PGRST_DB_SCHEMAS`), otherwise those of `pgmq_public`, which has no receipts. They have the same roles, permissions
and [errors](errors.md). An unknown parameter or member is refused (400), and nothing is done. Write times in UTC with
`Z`: in a query string, `+` is a space.

A receipt can take the place of a message's id: then the request is refused (409) if the message was read again since.
""".strip()


def page() -> str:
    found = operations("pgmq_public", "/queues")
    overview = markdown.table(
        ["request", "effect"],
        [[f"[{code(_title(one))}](#{_anchor(one)})", one.members["summary"]] for one in found],
    )
    parts = [part for one in found for part in (f"## {_title(one)}", *one.described())]
    return markdown.page("REST resources", INTRODUCTION, overview, *parts)


def _title(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def _anchor(operation: Operation) -> str:
    """The anchor that GitHub and the site make of the title."""
    kept = (character for character in _title(operation).lower() if character.isalnum() or character in " _-")
    return "".join(kept).replace(" ", "-")
