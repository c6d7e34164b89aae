"""The page Access: it shows the access that the API gives, and its changes are made in Postgres."""

import httpx
import pytest
from playwright.async_api import Locator, expect

from pgmq_gateway.auth.signing import token
from tests.browser.conftest import Desk
from tests.databases import Sql
from tests.server import SECRET, Server

USER = "0a1b"

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Caller:
    """A client of the API, with the user's token for `authenticated`."""

    def __init__(self, gateway: Server, queue: str) -> None:
        self._url = gateway.url
        self._queue = queue
        self._key = token(SECRET.encode(), "authenticated", {"sub": USER}, 600)

    def call(self, function: str, **arguments: object) -> httpx.Response:
        """Call a function for the queue."""
        headers = {"Authorization": f"Bearer {self._key}", "apikey": self._key, "Content-Profile": "pgmq_public"}
        return httpx.post(
            f"{self._url}/rest/v1/rpc/{function}", json={"queue_name": self._queue, **arguments}, headers=headers
        )

    def refusal(self, function: str, **arguments: object) -> tuple[str | None, str | None]:
        """Code and message of an error response; (None, None) for any other."""
        answer = self.call(function, **arguments)
        body = answer.json() if answer.is_error else {}
        return body.get("code"), body.get("message")


@pytest.fixture
def caller(embedded: Server, queue: str) -> Caller:
    """An authenticated client of the test's queue."""
    return Caller(embedded, queue)


def privileges(sql: Sql, queue: str) -> set[str]:
    """The privileges of `authenticated` on the queue's table."""
    rows = sql(
        "select privilege_type from information_schema.role_table_grants"
        " where grantee = 'authenticated' and table_schema = 'pgmq' and table_name = %s",
        f"q_{queue}",
    )
    return {row[0] for row in rows}


def switch(desk: Desk, operation: str, role: str = "authenticated") -> Locator:
    """The switch of one permission."""
    return desk.page.get_by_role("switch", name=f"{role}: permission to {operation}")


def verdict(desk: Desk, sentence: str) -> Locator:
    """The effective access in the table."""
    return desk.page.get_by_role("button", name=f"{sentence} Why?")


async def test_u4_a_permission_is_granted_explained_and_revoked(
    desk: Desk, sql: Sql, queue: str, caller: Caller
) -> None:
    message = {"user_id": USER, "n": 1}
    assert caller.refusal("send", message=message)[0] == "42501"
    await desk.open(f"/access?queue={queue}")
    await verdict(desk, "authenticated cannot read.").click()
    reasons = desk.page.get_by_role("region", name="Reasons")
    await expect(reasons).to_contain_text(f"authenticated lacks SELECT, UPDATE on pgmq.q_{queue}")

    await switch(desk, "send").click()
    # The permission has no effect without a policy.
    await expect(reasons).to_contain_text("The permission is granted, but has no effect yet")
    await expect(reasons).to_contain_text(
        "Includes these functions of pgmq_api: send, send_batch, send_entries, replay"
    )
    read = desk.page.get_by_role("columnheader", name="read")
    await expect(read).to_contain_text("retry, reject, extend, settle, peek, metrics")
    await expect(switch(desk, "send")).to_be_checked()
    assert privileges(sql, queue) == {"INSERT", "SELECT"}
    assert caller.refusal("send", message=message)[0] == "42501"

    create = reasons.get_by_role("button", name="Create policies from a template")
    await create.focus()
    sql("select pgmq_admin.grant_queue(%s, 'anon', '{read}')", queue)
    # A click would move the focus.
    await desk.page.get_by_role("button", name="Update now").evaluate("button => button.click()")
    await expect(switch(desk, "read", "anon")).to_be_checked()
    await expect(create).to_be_focused()
    await desk.page.keyboard.press("Enter")
    dialog = desk.page.get_by_role("dialog", name="Create policies")
    await expect(dialog.get_by_label("Role")).to_have_value("authenticated")
    await expect(dialog).to_contain_text('{"user_id": "1234"}')
    ticks = dialog.get_by_role("group", name="Operations").get_by_role("checkbox")
    await expect(ticks).to_have_count(5)
    await expect(dialog.get_by_role("checkbox", checked=True)).to_have_count(1)
    await expect(dialog.get_by_role("checkbox", name="send")).to_be_checked()
    await desk.picture("access-template")
    await dialog.get_by_role("checkbox", name="send").click()
    await expect(dialog.get_by_role("button", name="Create", exact=True)).to_be_disabled()
    await dialog.get_by_role("checkbox", name="send").click()
    await dialog.get_by_role("button", name="Create", exact=True).click()
    await expect(verdict(desk, "authenticated can send the messages that policies allow.")).to_be_visible()
    commands = sql("select command from pgmq_admin.list_policies(%s) order by 1", queue)
    assert commands == [("insert",), ("select",)]
    assert privileges(sql, queue) == {"INSERT", "SELECT"}
    group = desk.page.get_by_role("list", name="Policies").get_by_role("listitem")
    await expect(group).to_contain_text("Own messages of authenticated")
    await expect(group).to_contain_text("whose member user_id equals the claim sub")
    await group.get_by_text("2 policies in SQL").click()
    await expect(group).to_contain_text("insert on the queue")
    assert caller.call("send", message=message).is_success
    assert caller.refusal("send", message={"user_id": "another"})[0] == "42501"
    assert sql(f"select message ->> 'user_id' from pgmq.q_{queue}") == [(USER,)]

    # Changed in the editor, and tried before it is saved.
    await group.get_by_role("button", name="Change policies").click()
    dialog = desk.page.get_by_role("dialog", name="Change policies")
    await expect(dialog.get_by_role("radio", name="Own messages")).to_be_checked()
    await dialog.get_by_label("Message member").fill("owner")
    trial = dialog.get_by_role("region", name="Try as")
    await expect(trial.get_by_label("Test message")).to_have_value('{"owner": "1234"}')
    result = trial.get_by_role("region", name="Result")
    for owner, outcome in (("1234", "allowed"), ("another", "refused")):
        await trial.get_by_label("Test message").fill(f'{{"owner": "{owner}"}}')
        await trial.get_by_role("button", name="Try").click()
        await expect(result.get_by_role("row").filter(has_text="send")).to_contain_text(outcome)
    await desk.picture("access-editor")
    assert sql("select count(*) from pgmq_admin.list_policies(%s) where policy_name like '%%owner%%'", queue) == [(0,)]
    await dialog.get_by_role("button", name="Save").click()
    await expect(group).to_contain_text("whose member owner equals the claim sub")
    assert caller.call("send", message={"owner": USER}).is_success
    assert caller.refusal("send", message=message)[0] == "42501"

    await desk.page.get_by_role("button", name="Revoke all operations: authenticated").click()
    await expect(verdict(desk, "authenticated cannot send.")).to_be_visible()
    assert privileges(sql, queue) == set()
    assert caller.refusal("send", message=message)[0] == "42501"


async def test_a_permission_that_cannot_be_revoked_alone_stays_and_the_error_is_shown(
    desk: Desk, sql: Sql, queue: str
) -> None:
    sql("select pgmq_admin.grant_queue(%s, 'authenticated', '{pop}')", queue)
    held = privileges(sql, queue)
    await desk.open(f"/access?queue={queue}")
    await switch(desk, "read").click()
    problem = desk.page.get_by_role("alert").filter(has_text="were not changed")
    await expect(problem).to_contain_text("It can also")
    await expect(problem).to_contain_text("0LP01")
    await expect(switch(desk, "read")).to_be_checked()
    assert privileges(sql, queue) == held


async def test_a_custom_role_is_granted_permissions(desk: Desk, sql: Sql, queue: str) -> None:
    sql("create role clerk nologin noinherit")
    sql("grant clerk to authenticator")
    try:
        await desk.open(f"/access?queue={queue}")
        await desk.page.get_by_label("Another role").fill("clerk")
        await desk.page.keyboard.press("Enter")
        await switch(desk, "read", "clerk").click()
        await expect(desk.page.get_by_role("region", name="Reasons")).to_contain_text("No policy")
        await expect(switch(desk, "read", "clerk")).to_be_checked()
        assert sql("select operations from pgmq_admin.list_grants(%s) where role = 'clerk'", queue) == [(["read"],)]
    finally:
        sql("drop owned by clerk")
        sql("drop role clerk")


async def test_trying_as_a_caller_gives_the_results_of_the_api(
    desk: Desk, sql: Sql, queue: str, caller: Caller
) -> None:
    sql("select pgmq_admin.create_policy(%s, 'own_messages')", queue)
    sql("select pgmq_admin.revoke_queue(%s, 'authenticated', '{archive,pop,delete}')", queue)
    for user in (USER, "another"):
        exact = '"n": 1.10, "id": 123456789012345678901234567890, "big": 9007199254740993'
        sql("select pgmq.send(%s, %s::jsonb)", queue, f'{{"user_id": "{user}", "for": "{user}", {exact}}}')
    await desk.open(f"/access?queue={queue}")
    await desk.page.get_by_label("Subject (claim sub)").fill(USER)
    claims = desk.page.get_by_label("Token claims (JSON)")
    await expect(claims).to_have_value(f'{{\n  "sub": "{USER}"\n}}')
    message = desk.page.get_by_label("Test message (JSON)")
    await message.fill('{"user_id": ')
    await desk.page.get_by_role("button", name="Try", exact=True).click()
    await expect(desk.page.get_by_text("Not JSON")).to_be_visible()
    await message.fill('{"user_id": "another"}')
    await desk.page.get_by_role("button", name="Try", exact=True).click()

    result = desk.page.get_by_role("region", name="Result")
    await expect(result).to_contain_text("As authenticated")
    results = {
        cells[0]: tuple(cells[1:])
        for row in await result.get_by_role("table", name="Operations").get_by_role("row").all()
        if len(cells := await row.locator("th, td").all_inner_texts()) == 4
    }
    # Policies hide the test message; `read` gets the caller's own one.
    expected = {
        "send": caller.refusal("send", message={"user_id": "another"}),
        "delete": caller.refusal("delete", message_id=1),
        "archive": caller.refusal("archive", message_id=1),
        "pop": caller.refusal("pop"),
    }
    assert {name: results[name][1:] for name in expected} == expected
    assert caller.refusal("read", sleep_seconds=0, n=1) == (None, None)
    assert results["read"][0].endswith("allowed")
    seen = result.get_by_role("table", name="Readable messages")
    await expect(seen).to_contain_text(f'"for": "{USER}"')
    await expect(seen).not_to_contain_text("another")
    for number in ("1.10", "123456789012345678901234567890", "9007199254740993"):
        await expect(seen).to_contain_text(f": {number}")
    assert sql(f"select count(*), max(read_ct) from pgmq.q_{queue}") == [(2, 1)]
    sql("select pgmq_admin.grant_queue(%s, 'authenticated', '{delete}')", queue)
    await claims.fill("{")
    await claims.fill('{"sub": "elsewhere"}')
    await expect(desk.page.get_by_label("Subject (claim sub)")).to_have_value("elsewhere")
    await desk.page.get_by_role("button", name="Try", exact=True).click()
    deleted = result.get_by_role("table", name="Operations").get_by_role("row").filter(has_text="delete")
    await expect(deleted).to_contain_text("no effect")
    await desk.page.get_by_label("Role", exact=True).fill("nobody")
    await desk.page.keyboard.press("Enter")
    await desk.page.get_by_role("button", name="Try", exact=True).click()
    await expect(desk.page.get_by_role("alert").filter(has_text="nobody")).to_be_visible()
    await expect(result).to_be_hidden()
    await desk.picture("access-try-as", dark=True)


async def test_row_level_security_is_turned_off_only_after_a_confirmation(desk: Desk, sql: Sql, queue: str) -> None:
    rls = f"select relrowsecurity from pg_class where oid = 'pgmq.q_{queue}'::regclass"
    sql("select pgmq_admin.grant_queue(%s, 'anon', '{read}')", queue)
    await desk.open(f"/access?queue={queue}")
    protection = desk.page.get_by_role("switch", name="Row-level security")
    await protection.click()
    dialog = desk.page.get_by_role("dialog", name="Turn row-level security off?")
    await expect(dialog).to_contain_text("anon (read)")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(protection).to_be_checked()
    assert sql(rls) == [(True,)]

    await protection.click()
    await dialog.get_by_role("button", name="Turn off").click()
    await expect(verdict(desk, "anon can read all messages.")).to_be_visible()
    assert sql(rls) == [(False,)]
    warning = desk.page.get_by_role("region", name="Warnings")
    await expect(warning).to_contain_text("Row-level security is off")
    await desk.picture("access-no-rls")
    await warning.get_by_role("button", name="Turn row-level security on").click()
    await expect(protection).to_be_checked()
    assert sql(rls) == [(True,)]


async def test_warnings_are_fixed_by_their_buttons(desk: Desk, sql: Sql, queue: str) -> None:
    sql("select pgmq_admin.grant_queue(%s, 'authenticated', '{read}'), pgmq_admin.enable_notify(%s)", queue, queue)
    sql("delete from pgmq.notify_insert_throttle where queue_name = %s", queue)
    sql(f"create policy calm on pgmq.q_{queue} as restrictive for select to anon using (true)")
    await desk.open(f"/access?queue={queue}")
    await expect(desk.page.get_by_role("list", name="Policies")).to_contain_text("restrictive")
    await desk.page.get_by_role("button", name="Drop policy calm").click()
    sql(f"drop policy calm on pgmq.q_{queue}")
    await desk.page.get_by_role("dialog", name="Drop this policy?").get_by_role("button", name="Drop").click()
    await expect(desk.page.get_by_role("alert").filter(has_text="calm")).to_be_visible()
    warnings = desk.page.get_by_role("region", name="Warnings")
    notify = warnings.get_by_role("button", name="Re-enable notifications")
    await notify.click()
    await expect(notify).to_have_count(0)
    assert sql("select 1 from pgmq.notify_insert_throttle where queue_name = %s", queue) == [(1,)]

    await warnings.get_by_role("button", name="Create policies").click()
    dialog = desk.page.get_by_role("dialog", name="Create policies")
    await dialog.get_by_role("radio", name="Consumer").click()
    await expect(dialog.get_by_label("Token claim", exact=True)).to_be_hidden()
    await dialog.get_by_label("Role").fill("nobody")
    await dialog.get_by_role("button", name="Create", exact=True).click()
    await expect(dialog.get_by_role("alert")).to_contain_text("nobody")
    await dialog.get_by_label("Role").fill("authenticated")
    await dialog.get_by_role("button", name="Create", exact=True).click()
    await expect(verdict(desk, "authenticated can read all messages.")).to_be_visible()
    await expect(warnings).to_be_hidden()


async def test_a_policy_is_dropped_with_the_keyboard_on_a_narrow_screen(desk: Desk, sql: Sql, queue: str) -> None:
    sql("select pgmq_admin.create_policy(%s, 'consumer')", queue)
    policies = "select count(distinct polname) from pg_policy where polrelid in (%s::regclass, %s::regclass)"
    tables = (f"pgmq.q_{queue}", f"pgmq.a_{queue}")
    ((number,),) = sql(policies, *tables)
    await desk.open(f"/access?queue={queue}", narrow=True)
    keyboard = desk.page.keyboard
    await switch(desk, "send", "anon").focus()
    await keyboard.press("Space")
    await expect(verdict(desk, "anon cannot send.")).to_be_visible()
    await expect(switch(desk, "send", "anon")).to_be_checked()
    await keyboard.press("Tab")
    await expect(verdict(desk, "anon cannot send.")).to_be_focused()
    await keyboard.press("Enter")
    await expect(desk.page.get_by_role("region", name="Reasons")).to_contain_text("send fails")
    await desk.page.get_by_role("button", name="Drop policy Consumer of authenticated").focus()
    await keyboard.press("Enter")
    dialog = desk.page.get_by_role("dialog", name="Drop this policy?")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    await keyboard.press("Enter")
    await expect(dialog).to_have_count(0)
    assert sql(policies, *tables) == [(number,)]
    await desk.page.get_by_role("button", name="Drop policy Consumer of authenticated").focus()
    await keyboard.press("Enter")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    await keyboard.press("Tab")
    await expect(dialog.get_by_role("button", name="Drop")).to_be_focused()
    await keyboard.press("Enter")
    await expect(dialog).to_have_count(0)
    await expect(verdict(desk, "authenticated cannot read.")).to_be_visible()
    assert sql(policies, *tables) == [(0,)]
    await desk.picture("access-narrow", dark=True)


async def test_no_queue_can_be_used_until_pgmq_public_is_exposed_again(
    desk: Desk, sql: Sql, queue: str, caller: Caller
) -> None:
    sql("select pgmq_admin.set_rls(%s, false), pgmq_admin.grant_queue(%s, 'authenticated', '{send}')", queue, queue)
    assert caller.call("send", message=1).is_success
    await desk.open("/health")
    try:
        await desk.page.get_by_role("button", name="Unexpose…").click()
        dialog = desk.page.get_by_role("dialog").filter(has_text="Unexpose pgmq_public?")
        sure = dialog.get_by_role("button", name="Unexpose")
        await expect(sure).to_be_disabled()
        await dialog.get_by_role("textbox").fill("pgmq_public")
        await sure.click()
        await expect(desk.page.get_by_text("pgmq_public is not exposed")).to_be_visible()
        assert caller.call("send", message=2).is_error
        await desk.open(f"/access?queue={queue}")
        await verdict(desk, "authenticated cannot send.").click()
        await expect(desk.page.get_by_role("region", name="Reasons")).to_contain_text(
            "lacks USAGE on schema pgmq_public"
        )
        await desk.open("/health")
        await desk.page.get_by_role("button", name="Expose", exact=True).click()
        await expect(desk.page.get_by_text("pgmq_public is exposed")).to_be_visible()
        assert caller.call("send", message=3).is_success
    finally:
        sql("select pgmq_admin.expose()")
    assert sql(f"select message from pgmq.q_{queue}") == [(1,), (3,)]


async def test_a_queue_that_does_not_exist_is_reported_and_another_selected(desk: Desk, sql: Sql, queue: str) -> None:
    await desk.open("/access?queue=nowhere")
    problem = desk.page.get_by_role("alert")
    await expect(problem).to_contain_text('queue "nowhere" does not exist')
    await expect(problem).to_contain_text("42P01")
    await desk.page.get_by_label("Queue", exact=True).fill(queue)
    await desk.page.get_by_role("option", name=queue).click()
    await desk.page.wait_for_url(f"**/access?queue={queue}")
    sql("select pgmq.drop_queue(%s)", queue)
    try:
        await desk.open("/access")
        await expect(desk.page.get_by_text("There are no queues yet.")).to_be_visible()
    finally:
        # For the fixture, which drops it.
        sql("select pgmq.create(%s)", queue)
