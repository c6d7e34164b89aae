"""The page of one queue in a real browser: its content, its actions, and the rows that they leave."""

import asyncio
import json
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import Dashboard, accessible, screenshot
from tests.databases import Sql
from tests.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXACT = '{"n": 1.10, "id": 123456789012345678901234567890, "big": 9007199254740993}'

# The elements that the browser has moved since the page was opened, by more than a hundredth of the window.
MOVED = """() => {
  const observer = new PerformanceObserver(() => {});
  observer.observe({ type: "layout-shift", buffered: true });
  const shifts = observer.takeRecords().filter((shift) => shift.value > 0.01);
  return shifts.flatMap((shift) => shift.sources.map(({ node }) => node?.className ?? node?.nodeName));
}"""

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest_asyncio.fixture(loop_scope="session")
async def desk(board: Page, dashboard: Dashboard) -> Page:
    """A signed-in tab of 1440 x 900 pixels, without errors in its console."""
    await dashboard.admit(board)
    return board


@pytest.fixture
def rows(sql: Sql, queue: str) -> Rows:
    """rows("msg_id, vt") of the queue, rows("msg_id", "a") of its archive."""

    def select(columns: str, prefix: str = "q") -> list[tuple[Any, ...]]:
        return sql(f"select {columns} from pgmq.{prefix}_{queue} order by msg_id")

    return select


def fill(sql: Sql, queue: str, number: int) -> None:
    """Send messages 1 to `number`, each a second younger than the one before."""
    sql("select pgmq.send(%s, jsonb_build_object('n', n)) from generate_series(1, %s) as n", queue, number)
    sql(f"update pgmq.q_{queue} set enqueued_at = enqueued_at + make_interval(secs => msg_id - 1000)")


async def visit(page: Page, dashboard: Dashboard, queue: str) -> None:
    """Open the page of a queue."""
    await page.goto(f"{dashboard.url}/queues/{queue}")
    await expect(page.get_by_role("heading", level=1)).to_have_text(queue)
    # It listens once its charts are drawn.
    await expect(page.locator(".chart svg")).to_have_count(3)


@pytest.mark.parametrize("width", [390, 1440])
async def test_a_page_is_sent_with_its_messages_and_nothing_moves(
    dashboard: Dashboard, desk: Page, sql: Sql, queue: str, width: int
) -> None:
    sql("select pgmq.send(%s, %s::text::jsonb) from generate_series(1, 3)", queue, '{"text": "<b id=bold>&amp;</b>"}')
    await desk.set_viewport_size({"width": width, "height": 900})
    answer = await desk.goto(f"{dashboard.url}/queues/{queue}")
    assert answer is not None
    assert "id=bold" in await answer.text()
    await expect(desk.locator(".chart svg")).to_have_count(3)
    cells = await desk.locator(".messages tbody td").all_inner_texts()
    assert [cells[1], *cells[3:6]] == ["1", '{"text": "<b id=bold>&amp;</b>"}', "32 B", "0"]
    assert await desk.locator("#bold").count() == 0
    assert await desk.evaluate(MOVED) == []


async def test_data_that_arrives_after_the_page_is_shown(
    dashboard: Dashboard, desk: Page, embedded: Server, sql: Sql, queue: str
) -> None:
    fill(sql, queue, 1)
    embedded.process.send_signal(signal.SIGSTOP)
    try:
        # The page is sent without its data after a second.
        await desk.goto(f"{dashboard.url}/queues/{queue}", wait_until="commit")
    finally:
        embedded.process.send_signal(signal.SIGCONT)
    await expect(desk.locator(".messages tbody tr")).to_have_count(1)
    await accessible(desk)
    await expect(desk.get_by_role("main")).to_have_count(1)


def ids(page: Page) -> Locator:
    """The ids in the table."""
    return page.get_by_role("button", name="Open message")


def button(page: Page | Locator, name: str) -> Locator:
    """The button of this name."""
    return page.get_by_role("button", name=name, exact=True)


def opened(page: Page) -> Locator:
    """The panel of the open message."""
    return page.get_by_role("region", name="Message", exact=True)


def total(page: Page, name: str) -> Locator:
    """A number above the messages."""
    return page.locator(".total").filter(has=page.get_by_text(name, exact=True)).locator("dd")


async def test_u5_a_message_is_sent_found_and_opened(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql, rows: Rows
) -> None:
    fill(sql, queue, 3)
    await visit(desk, dashboard, queue)
    await button(desk, "Send message").click()
    dialog = desk.get_by_role("dialog")
    message = dialog.get_by_label("Message (JSON)")
    await message.fill('{\n"n": }')
    await expect(dialog.get_by_text("Line 2, column 6")).to_be_visible()
    await accessible(desk)
    await button(dialog, "Format").click()
    await button(dialog, "Send").click()
    await expect(message).to_have_value('{\n"n": }')
    await message.fill(EXACT)
    await dialog.get_by_label("Headers").fill("[")
    await expect(dialog.get_by_text("Line 1, column 2")).to_be_visible()
    await button(dialog, "Format").click()
    await expect(message).to_have_value(re.compile(r'^{\n  "n": 1.10,\n'))
    await dialog.get_by_label("Headers").fill('{"trace": "<b>7</b>"}')
    await dialog.get_by_label("Delay").fill("3600")
    await dialog.get_by_label("Copies").fill("2")
    await screenshot(desk, "queue-send-1440-light")
    await button(dialog, "Send").click()
    await expect(total(desk, "Delayed")).to_have_text("2")
    # jsonb orders members by the length of their names, and keeps all digits.
    sent = ('{"n": 1.10, "id": 123456789012345678901234567890, "big": 9007199254740993}', {"trace": "<b>7</b>"}, True)
    assert rows("message::text, headers, vt > now() + interval '59 min'")[3:] == [sent, sent]

    for search, found in (("BIG", ["4", "5"]), ('{"n": 2}', ["2"]), ('{"n": 1.1}', ["4", "5"])):
        await desk.get_by_label("Search payloads").fill(search)
        await expect(ids(desk)).to_have_text(found)
    await ids(desk).first.click()
    panel = opened(desk)
    await expect(panel.get_by_role("region", name="payload")).to_contain_text('"n": 1.10,')
    await expect(panel.get_by_role("region", name="payload")).to_contain_text("123456789012345678901234567890")
    await expect(panel.get_by_role("region", name="payload")).to_contain_text("9007199254740993")
    await expect(panel.get_by_role("region", name="headers")).to_contain_text('"trace": "<b>7</b>"')
    await expect(panel.locator(".message-facts")).to_contain_text(re.compile(r"Visiblein 59m.* UTC"))
    ((utc,),) = sql(
        f"select to_char(vt at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') from pgmq.q_{queue} where msg_id=4"
    )
    await expect(panel.locator(".message-facts")).to_contain_text(utc)
    await panel.get_by_role("button", name="Collapse payload").click()
    await expect(panel.get_by_role("region", name="payload")).not_to_contain_text("1.10")
    await accessible(desk)
    await screenshot(desk, "queue-panel-1440-light")
    await button(panel, "Send again").click()
    await expect(message).to_have_value(
        '{\n  "n": 1.10,\n  "id": 123456789012345678901234567890,\n  "big": 9007199254740993\n}'
    )
    await button(desk.get_by_role("dialog"), "Send").click()
    await expect(ids(desk)).to_have_text(["4", "5", "6"])


async def test_times_that_are_no_dates_are_shown_as_they_are(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql
) -> None:
    sql(
        f"insert into pgmq.q_{queue} (vt, enqueued_at, message) values ('infinity', '-infinity', '1'), "
        "('10000-01-01Z', '0044-03-15Z BC', '2'), ('-infinity', 'infinity', '3')"
    )
    await visit(desk, dashboard, queue)
    cells = [await row.locator("td").all_inner_texts() for row in await desk.locator(".messages tbody tr").all()]
    assert [(row[6], row[7]) for row in cells] == [
        ("-infinity", "infinity"),
        ("0044-03-15T00:00:00+00:00 BC", "10000-01-01T00:00:00+00:00"),
        ("infinity", "now"),
    ]
    await ids(desk).first.click()
    facts = opened(desk).locator(".message-facts")
    await expect(facts).to_contain_text(re.compile(r"Sent-infinity.*Visibleinfinity"))


async def test_messages_are_postponed_archived_requeued_and_moved(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql, rows: Rows
) -> None:
    fill(sql, queue, 5)
    await visit(desk, dashboard, queue)
    await ids(desk).nth(0).click()
    await button(opened(desk), "Postpone").click()
    dialog = desk.get_by_role("dialog").filter(has_text="Postpone 1 message?")
    await button(dialog, "1 h").click()
    await expect(dialog.get_by_label("Seconds")).to_have_value("3600")
    await screenshot(desk, "queue-postpone-1440-light")
    await button(dialog, "Postpone 1 message").click()
    await expect(desk.get_by_role("row").nth(1)).to_contain_text("delayed")
    assert rows("msg_id, vt > now() + interval '59 min'")[:2] == [(1, True), (2, False)]
    await button(opened(desk), "Close (Esc)").click()
    await desk.get_by_role("checkbox", name="Select message 1").click()
    await button(desk, "Make visible").click()
    await expect(desk.get_by_role("row").nth(1)).to_contain_text("visible")
    assert rows("vt <= clock_timestamp()") == [(True,)] * 5
    await desk.get_by_role("checkbox", name="Select message 5").click()
    await button(desk, "Postpone").click()
    await dialog.get_by_label("Or until").fill("2040-06-01T12:00:00")
    await button(dialog, "Postpone 1 message").click()
    await expect(dialog).to_have_count(0)
    noon = await desk.evaluate("new Date('2040-06-01T12:00:00').toISOString()")
    assert sql(f"select msg_id from pgmq.q_{queue} where vt = %s", noon) == [(5,)]

    for one in (2, 3, 4):
        await desk.get_by_role("checkbox", name=f"Select message {one}").click()
    await button(desk, "Archive").click()
    await button(desk.get_by_role("dialog"), "Archive 3 messages").click()
    await expect(ids(desk)).to_have_text(["1", "5"])
    assert rows("msg_id", "a") == [(2,), (3,), (4,)]
    await desk.get_by_role("tab", name="Archive").click()
    await expect(ids(desk)).to_have_count(3)
    await desk.get_by_role("checkbox", name="Select message 3").click()
    await screenshot(desk, "queue-archive-1440-light")
    await button(desk, "Re-queue").click()
    await expect(ids(desk)).to_have_count(2)
    await desk.get_by_role("tab", name="Queue").click()
    await expect(ids(desk)).to_have_text(["1", "5", "6"])
    assert (rows("msg_id, message")[2], rows("msg_id", "a")) == ((6, {"n": 3}), [(2,), (4,)])

    await desk.get_by_role("tab", name="Archive").click()
    await desk.get_by_role("checkbox", name="Select message 4").click()
    await button(desk, "Delete").click()
    await screenshot(desk, "queue-archive-delete-1440-light")
    await button(desk.get_by_role("dialog"), "Delete 1 message").click()
    await expect(ids(desk)).to_have_text(["2"])
    assert (len(rows("1")), rows("msg_id", "a")) == (3, [(2,)])
    # Several steps, of which the second fails once.
    sql(f"insert into pgmq.a_{queue} (msg_id, vt, message) select n, now(), '1' from generate_series(101, 1300) as n")
    await desk.get_by_role("button", name="Actions on all").click()
    await desk.get_by_role("menuitem", name="Replay").click()
    dialog = desk.get_by_role("dialog", name="Replay 1,201 messages?")
    await dialog.get_by_label("Messages per second").fill("0.1")
    sql(f"update pgmq.a_{queue} set message = '2' where msg_id = 1300")
    sql(f"alter table pgmq.q_{queue} add constraint refusal check (message <> '2') not valid")
    await button(dialog, "Replay 1,201 messages").dblclick()
    await expect(dialog).to_contain_text("Sent1,000 of 1,201 messages")
    await expect(dialog).to_contain_text("refusal")
    sql(f"alter table pgmq.q_{queue} drop constraint refusal")
    await button(dialog, "Continue").click()
    await expect(dialog).to_contain_text(re.compile("Sent1,201 of 1,201 messagesLast visiblein 3h"))
    await screenshot(desk, "queue-replayed-1440-light")
    await button(dialog, "Close").click()
    sent = f"from pgmq.q_{queue} where msg_id > 6"
    assert sql(f"select count(*), count(distinct vt), max(vt) - min(vt) = interval '12000 s' {sent}") == [
        (1201,) * 2 + (True,)
    ]
    sql(f"delete {sent}")
    await desk.get_by_role("tab", name="Queue").click()
    await expect(ids(desk)).to_have_text(["1", "5", "6"])

    sql("select pgmq_admin.create_queue('moved-to')")
    try:
        for one in (1, 6):
            await desk.get_by_role("checkbox", name=f"Select message {one}").click()
        await button(desk, "Move").click()
        dialog = desk.get_by_role("dialog").filter(has_text="Move 2 messages?")
        await button(dialog, "Move 2 messages").click()
        await expect(dialog).to_contain_text("Select a queue.")
        await dialog.get_by_label("To queue").fill("moved")
        await desk.get_by_role("option", name="moved-to").click()
        await screenshot(desk, "queue-move-1440-light")
        await button(dialog, "Move 2 messages").click()
        await expect(ids(desk)).to_have_text(["5"])
        assert rows("msg_id") == [(5,)]
        assert sql('select message from pgmq."q_moved-to" order by msg_id') == [({"n": 1},), ({"n": 3},)]
    finally:
        sql("select pgmq_admin.drop_queue('moved-to')")


@pytest.fixture
def letters(sql: Sql, queue: str) -> Iterator[str]:
    """A dead-letter queue with five rejected messages of the queue, and one of another."""
    name = f"{queue}-dead"
    sql("select pgmq_admin.create_queue(%s)", name)
    settings = json.dumps({"dead_letter_queue": name})
    sql("select pgmq_admin.set_queue_settings(%s, %s)", queue, settings)
    sql("select pgmq.send(%s, jsonb_build_object('n', n)) from generate_series(1, 5) as n", queue)
    sql("select pgmq_api.reject(%s, receipt, 'No such account.') from pgmq_api.read(%s, 60, 5)", queue, queue)
    # Written by a sender: a time without a zone, and a number of more digits than Python reads.
    other = {
        "x-pgmq-dead": {"queue": "elsewhere", "msg_id": 7, "reason": "max_receives", "at": "2026-01-01", "note": 1}
    }
    headers = json.dumps(other).replace('"note": 1', '"note": 1' + "0" * 5000)
    sql("select pgmq.send(%s, '\"late\"', %s::jsonb)", name, headers)
    yield name
    sql("select pgmq_admin.drop_queue(%s)", name)


async def test_dead_letters_are_found_and_redriven(
    desk: Page, dashboard: Dashboard, queue: str, letters: str, rows: Rows
) -> None:
    await visit(desk, dashboard, queue)
    await desk.get_by_role("link", name=f"{letters}: 5").click()
    await expect(desk.get_by_role("heading", level=1)).to_have_text(letters)
    await expect(ids(desk)).to_have_count(6)
    cells = await desk.locator(".messages tbody tr").first.locator("td").all_inner_texts()
    assert cells[2:7] == ["Rejected", f"{queue} 1", '{"n": 1}', "No such account.", "1"]
    await screenshot(desk, "queue-letters-1440-light")
    for label, option, found in (
        ("Reason", "Received too often", 1),
        ("Reason", "Any reason", 6),
        ("Origin", queue, 5),
    ):
        await desk.get_by_label(label, exact=True).click()
        await desk.get_by_role("option", name=option).click()
        await expect(ids(desk)).to_have_count(found)
    await ids(desk).first.click()
    panel = opened(desk)
    facts = panel.locator(".message-facts").nth(1)
    await expect(facts).to_contain_text(re.compile(f"ReasonRejectedNoteNo such account.Died.*Origin{queue}Id there1"))
    await accessible(desk)
    await screenshot(desk, "queue-letter-1440-light")
    await button(panel, "Redrive").click()
    dialog = desk.get_by_role("dialog", name="Redrive 1 message?")
    await button(dialog, "Redrive 1 message").click()
    await expect(dialog).to_contain_text(re.compile("Moved1 of 1 messageLast visible"))
    await button(dialog, "Close").click()
    await expect(ids(desk)).to_have_count(4)
    assert rows("message, headers") == [({"n": 1}, {"x-pgmq-redrives": 1})]

    # That of another queue, which does not bury here, stays.
    await button(desk, "Clear").click()
    await expect(ids(desk)).to_have_count(5)
    await desk.emulate_media(color_scheme="dark")
    await desk.set_viewport_size({"width": 390, "height": 844})
    await desk.get_by_role("navigation", name="Pages of messages").scroll_into_view_if_needed()
    await screenshot(desk, "queue-letters-390-dark")
    await desk.get_by_role("button", name="Actions on all").click()
    await desk.get_by_role("menuitem", name="Redrive").click()
    dialog = desk.get_by_role("dialog", name="Redrive 5 messages?")
    await dialog.get_by_label("Messages per second").fill("0")
    await button(dialog, "Redrive 5 messages").click()
    await expect(dialog).to_contain_text("Enter a number from 0.001")
    await dialog.get_by_label("Messages per second").fill("0.01")
    await screenshot(desk, "queue-redrive-390-dark")
    await button(dialog, "Redrive 5 messages").click()
    outcome = "Moved4 of 5 messagesSkipped1 message whose queue does not bury here or refuses itLast visiblein "
    await expect(dialog).to_contain_text(outcome)
    await accessible(desk)
    await screenshot(desk, "queue-redriven-390-dark")
    await button(dialog, "Close").click()
    await expect(ids(desk)).to_have_text(["6"])
    # 100 seconds apart.
    steps = rows("message, round(extract(epoch from vt - min(vt) filter (where msg_id > 1) over ()) / 100)::integer")
    assert steps[1:] == [({"n": n}, n - 2) for n in range(2, 6)]
    await desk.get_by_role("link", name=f"{queue}: 0").click()
    await expect(desk.get_by_role("heading", level=1)).to_have_text(queue)


async def test_a_bulk_delete_states_the_number_and_requires_the_name(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql, rows: Rows
) -> None:
    fill(sql, queue, 60)
    await visit(desk, dashboard, queue)
    await button(desk, "More filters").click()
    await desk.get_by_label("Payload path").fill("$.n > 10")
    await expect(ids(desk).first).to_have_text("11")
    await desk.get_by_role("button", name="Actions on all").click()
    await desk.get_by_role("menuitem", name="Postpone").click()
    dialog = desk.get_by_role("dialog").filter(has_text="Postpone 50 messages?")
    await dialog.get_by_label("Or until").fill("2040-06-01T12:00:00")
    await button(dialog, "Postpone 50 messages").click()
    await expect(dialog).to_have_count(0)
    assert rows("vt between '2040-05-31' and '2040-06-02'") == [(n > 10,) for n in range(1, 61)]
    await desk.get_by_role("button", name="Actions on all").click()
    await desk.get_by_role("menuitem", name="Delete").click()
    dialog = desk.get_by_role("dialog").filter(has_text="Filter: path")
    sure = dialog.get_by_role("button", name="Delete 50 messages")
    await expect(sure).to_be_disabled()
    sql("select pgmq.send(%s, '{\"n\": 11}')", queue)
    await dialog.get_by_label(f"Type {queue} to confirm").fill(queue)
    await sure.click()
    await expect(dialog.locator(".problem")).to_contain_text("51 messages match, not 50: nothing has been changed")
    await expect(dialog.locator(".problem")).to_contain_text(re.compile("PT409.*Count them again", re.DOTALL))
    assert len(rows("1")) == 61
    await accessible(desk)
    await screenshot(desk, "queue-bulk-delete-1440-light")
    await button(dialog, "Count again").click()
    await button(dialog, "Delete 51 messages").click()
    await expect(desk.get_by_role("main").get_by_text("No message matches the filter.")).to_be_visible()
    assert rows("msg_id") == [(n,) for n in range(1, 11)]
    await expect(desk.get_by_role("button", name="Actions on all")).to_be_disabled()


async def test_settings_are_changed_and_refused_beside_their_field(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql
) -> None:
    def stored() -> list[tuple[Any, ...]]:
        columns = "lease_seconds, max_receives, dead_letter_queue, backoff, group_limit, deduplication_by_content"
        return sql(f"select {columns} from pgmq_settings.queues where queue_name = %s", queue)

    async def select(label: str, option: str) -> None:
        await dialog.get_by_label(label).click()
        await desk.get_by_role("option", name=option, exact=True).click()

    sql("select pgmq_admin.create_queue('letters')")
    sql("select pgmq_admin.set_queue_settings('letters', jsonb_build_object('dead_letter_queue', %s::text))", queue)
    try:
        await visit(desk, dashboard, queue)
        await button(desk, "Settings").click()
        dialog = desk.get_by_role("dialog", name=f"Settings of {queue}")
        save, lease = button(dialog, "Save"), dialog.get_by_label("Lease")
        await expect(save).to_be_disabled()
        await lease.fill("604801")
        await expect(
            dialog.get_by_text("Enter a whole number: 0 to 604,800, or nothing for the default.")
        ).to_be_visible()
        await select("Dead-letter queue", "letters")
        await save.click()
        await lease.fill("60")
        await save.click()
        await expect(dialog.get_by_text("dead messages would return to it. Use a queue whose own")).to_be_visible()
        assert stored() == []
        await select("Dead-letter queue", "none: the archive")
        await select("Back-off", "exponential")
        await dialog.get_by_label("Group limit").fill("1")
        await expect(dialog.get_by_role("status")).to_contain_text("Saving builds an index and triggers, and parks")
        await dialog.get_by_role("switch", name="By content").click()
        await accessible(desk)
        await screenshot(desk, "queue-settings-1440-light")
        # Another user's change: only those of this dialog are sent.
        sql("select pgmq_admin.set_queue_settings(%s, '{\"max_receives\": 7}')", queue)
        await save.click()
        await expect(desk.get_by_text("group limit 1")).to_be_visible()
        assert stored() == [(60, 7, None, "exponential", 1, True)]

        await button(desk, "Settings").click()
        await expect(lease).to_have_value("60")
        await lease.fill("")
        await select("Back-off", "none (default)")
        await dialog.get_by_label("Group limit").fill("")
        await expect(dialog.get_by_role("status")).to_contain_text("Saving makes all parked messages visible at once")
        await desk.emulate_media(color_scheme="dark")
        await desk.set_viewport_size({"width": 390, "height": 844})
        await accessible(desk)
        await screenshot(desk, "queue-settings-390-dark")
        await save.click()
        await expect(desk.get_by_text("group limit 1")).to_have_count(0)
        assert stored() == [(None, 7, None, None, None, True)]
    finally:
        sql("select pgmq_admin.drop_queue('letters')")


async def test_the_messages_of_a_group_are_found_and_the_queue_is_paused(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql
) -> None:
    paused = "select paused from pgmq_settings.queues where queue_name = %s"
    sql('select pgmq_admin.set_queue_settings(%s, \'{"group_limit": 1, "max_messages": 1}\')', queue)
    sql("update pgmq_settings.queues set is_full = true where queue_name = %s", queue)
    send = "select pgmq.send(%s, '1', jsonb_build_object('x-pgmq-group', g)) from unnest(%s::text[]) as g"
    sql(send, queue, ["a", "b", "b", "a", "b"])
    await visit(desk, dashboard, queue)
    await expect(total(desk, "Parked")).to_have_text("3")
    await button(desk, "Groups").click()
    groups = desk.get_by_role("dialog", name=f"Groups of {queue}")
    cells = groups.get_by_role("row").nth(1).get_by_role("cell")
    await expect(cells).to_have_text(["2", "1", "0", "0", re.compile("[0-9]+[ms]")])
    await accessible(desk)
    await screenshot(desk, "queue-groups-1440-light")
    await groups.get_by_label("Begin with the name").fill("c")
    await expect(groups.get_by_text("No message has such a group.")).to_be_visible()
    await groups.get_by_label("Begin with the name").fill("b")
    await groups.get_by_role("button", name="Show the messages of group b").click()
    await expect(ids(desk)).to_have_text(["2", "3", "5"])
    await expect(desk.get_by_label("Group", exact=True)).to_have_value("b")
    await expect(desk.locator(".messages .state")).to_have_text(["visible", "parked", "parked"])

    await button(desk, "Pause queue").click()
    dialog = desk.get_by_role("dialog", name=f"Pause {queue}?")
    await expect(dialog).to_contain_text("Consumers that call pgmq_public or pgmq are not paused.")
    await button(dialog, "Pause").click()
    await expect(button(desk, "Resume queue")).to_be_visible()
    assert sql(paused, queue) == [(True,)]
    await desk.goto(dashboard.url)
    row = desk.get_by_role("row").filter(has_text=queue)
    await expect(row.locator(".mark")).to_have_text(["paused", "full"])
    await row.get_by_role("link").click()
    await button(desk, "Resume queue").click()
    await expect(button(desk, "Pause queue")).to_be_visible()
    assert sql(paused, queue) == [(None,)]


async def test_row_level_security_is_turned_from_the_menu(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql
) -> None:
    rls = f"select relrowsecurity from pg_class where oid = 'pgmq.q_{queue}'::regclass"
    sql("select pgmq_admin.grant_queue(%s, 'anon', '{read}')", queue)
    await visit(desk, dashboard, queue)
    await button(desk, "More").click()
    await desk.get_by_role("menuitem", name="Turn row-level security off").click()
    dialog = desk.get_by_role("dialog", name="Turn row-level security off?")
    await expect(dialog).to_contain_text("access to all messages, regardless of policies: anon (read).")
    await screenshot(desk, "queue-rls-1440-light")
    await button(dialog, "Cancel").click()
    await expect(dialog).to_have_count(0)
    assert sql(rls) == [(True,)]
    await button(desk, "More").click()
    await desk.get_by_role("menuitem", name="Turn row-level security off").click()
    await button(dialog, "Turn off").click()
    await expect(desk.get_by_text("RLS off")).to_be_visible()
    assert sql(rls) == [(False,)]
    await button(desk, "More").click()
    await desk.get_by_role("menuitem", name="Turn row-level security on").click()
    await expect(desk.get_by_text("RLS on")).to_be_visible()
    assert sql(rls) == [(True,)]


async def test_why_calls_cannot_share_a_transaction_is_said_quietly(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql
) -> None:
    sql("select pgmq_admin.enable_notify(%s)", queue)
    await visit(desk, dashboard, queue)
    reason = desk.get_by_role("region", name="Warnings").get_by_role("paragraph")
    await expect(reason).to_contain_text(f"Table pgmq.q_{queue} has the trigger")
    await expect(reason).to_have_class("muted")


async def test_purge_and_drop_require_the_name(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql, rows: Rows
) -> None:
    fill(sql, queue, 2)
    await visit(desk, dashboard, queue)
    press = desk.keyboard.press
    for action, done, down in (("Purge", "The queue is empty.", 1), ("Drop", "Queues", 2)):
        # With the keyboard alone.
        await button(desk, "More").focus()
        await press("Enter")
        await expect(desk.get_by_role("menuitem", name=action)).to_be_visible()
        await desk.get_by_role("menuitem").nth(down).focus()
        await press("Enter")
        dialog = desk.get_by_role("dialog").filter(has_text=f"{action} {queue}?")
        await expect(dialog.get_by_role("textbox")).to_be_focused()
        await desk.keyboard.type(queue[:-1])
        await expect(button(dialog, f"{action} queue")).to_be_disabled()
        await press("Enter")
        await screenshot(desk, f"queue-{action.lower()}-1440-light")
        assert sql("select 1 from pgmq.meta where queue_name = %s", queue)
        await desk.keyboard.type(queue[-1])
        await expect(button(dialog, f"{action} queue")).to_be_enabled()
        await press("Enter")
        await expect(desk.get_by_role("main")).to_contain_text(done)
        await expect(dialog).to_have_count(0)
        if action == "Purge":
            assert rows("msg_id") == []
    await desk.wait_for_url(f"{dashboard.url}/")
    assert sql("select 1 from pgmq.meta where queue_name = %s", queue) == []
    await desk.goto(f"{dashboard.url}/queues/{queue}")
    await expect(desk.get_by_role("alert")).to_contain_text(f'Queue "{queue}" does not exist.')
    await expect(button(desk, "Send message")).to_be_hidden()
    # For the fixture, which drops it.
    sql("select pgmq.create(%s)", queue)


async def test_viewing_messages_changes_no_row(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql, rows: Rows
) -> None:
    fill(sql, queue, 3)
    traces = "msg_id, read_ct, vt, last_read_at, xmin::text, xmax::text, ctid::text"
    before = rows(traces)
    await visit(desk, dashboard, queue)
    status = desk.locator(".refresh .status")
    for _ in range(2):
        await expect(status).not_to_have_text(await status.inner_text())
    await ids(desk).first.click()
    await expect(opened(desk)).to_contain_text("Payload")
    assert rows(traces) == before


async def test_a_long_message_is_shown_without_folding_and_copied(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql
) -> None:
    sql("select pgmq.send(%s, to_jsonb(array['\u200b'] || array_fill('x'::text, array[5000])))", queue)
    await visit(desk, dashboard, queue)
    await ids(desk).first.click()
    panel = opened(desk)
    payload = panel.get_by_role("region", name="payload")
    await expect(payload).to_contain_text('["\\u200b", "x", ')
    await expect(button(panel, "Collapse payload")).to_have_count(0)
    await desk.context.grant_permissions(["clipboard-read", "clipboard-write"])
    # The notice is shown briefly, so its wait begins before it.
    noticed = asyncio.ensure_future(desk.get_by_text("Copied: payload").wait_for())
    await button(panel, "Copy payload").click()
    await noticed
    # The browser writes to the clipboard in the background.
    copied = ""
    while not copied.startswith("["):
        copied = await desk.evaluate("navigator.clipboard.readText()")
    lines = copied.splitlines()
    assert lines[:3] == ["[", '  "\\u200b",', '  "x",']
    assert len(lines) == 5003


async def test_actions_on_a_dropped_queue_show_the_error(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql
) -> None:
    fill(sql, queue, 2)
    await visit(desk, dashboard, queue)
    await button(desk, "Pause updates").click()
    sql(f"delete from pgmq.q_{queue} where msg_id = 2")
    await ids(desk).last.click()
    panel = opened(desk)
    await expect(panel).to_contain_text("Message 2 is not in the queue")
    await button(panel, "Close (Esc)").click()
    await expect(panel).to_have_count(0)
    sql("select pgmq.drop_queue(%s)", queue)
    try:
        await ids(desk).first.click()
        await expect(panel.get_by_role("alert")).to_contain_text(queue)
        await button(panel, "Close (Esc)").click()
        await button(desk, "Send message").click()
        sending = desk.get_by_role("dialog", name="Send a message")
        await button(sending, "Send").click()
        await expect(sending.get_by_role("alert")).to_contain_text(queue)
        await button(sending, "Cancel").click()
        for action in ("Purge", "Drop"):
            await button(desk, "More").click()
            await desk.get_by_role("menuitem", name=action).click()
            dialog = desk.get_by_role("dialog").filter(has_text=f"{action} {queue}?")
            await dialog.get_by_role("textbox").fill(queue)
            await button(dialog, f"{action} queue").click()
            await expect(dialog.get_by_role("alert")).to_contain_text(queue)
            await button(dialog, "Cancel").click()
            await expect(dialog).to_have_count(0)
        error = desk.get_by_role("dialog", name="Error")
        await desk.get_by_role("checkbox", name="Select message 1").click()
        await button(desk, "Make visible").click()
        await expect(error).to_contain_text("Make visible failed.")
        await button(error, "Close").click()
        await expect(error).to_have_count(0)
        await desk.get_by_role("button", name="Actions on all").click()
        await desk.get_by_role("menuitem", name="Delete").click()
        await expect(error).to_contain_text("The messages could not be counted.")
        await button(error, "Close").click()
        await expect(error).to_have_count(0)
        await button(desk, "More").click()
        await desk.get_by_role("menuitem", name="Turn row-level security off").click()
        await expect(error).to_contain_text("Row-level security was not changed.")
    finally:
        # For the fixture, which drops it.
        sql("select pgmq.create(%s)", queue)


async def test_pages_are_turned_forward_and_back(desk: Page, dashboard: Dashboard, queue: str, sql: Sql) -> None:
    fill(sql, queue, 120)
    await visit(desk, dashboard, queue)
    newer, older = button(desk, "Next"), button(desk, "Previous")
    await expect(older).to_be_disabled()
    for first, last in ((1, 50), (51, 100), (101, 120)):
        await expect(ids(desk).first).to_have_text(str(first))
        await expect(ids(desk).last).to_have_text(str(last))
        if last < 120:
            await newer.click()
    await expect(newer).to_be_disabled()
    await older.click()
    await expect(ids(desk).first).to_have_text("51")
    age = desk.get_by_role("columnheader", name="Age", exact=True)
    for order in ("ascending", "descending"):
        await age.get_by_role("button").click()
        await expect(age).to_have_attribute("aria-sort", order)
    await expect(ids(desk).first).to_have_text("120")
    await newer.click()
    await expect(ids(desk).first).to_have_text("70")
    # The remaining messages before this page do not fill one.
    sql(f"delete from pgmq.q_{queue} where msg_id > 90")
    await older.click()
    await expect(ids(desk).first).to_have_text("90")
    await expect(ids(desk)).to_have_count(50)
    await expect(older).to_be_disabled()
    await newer.click()
    await expect(ids(desk).first).to_have_text("40")
    sql(f"delete from pgmq.q_{queue} where msg_id <= 40")
    await expect(ids(desk)).to_have_count(0)
    await older.click()
    await expect(ids(desk).first).to_have_text("90")


async def test_an_error_of_the_api_is_shown(desk: Page, dashboard: Dashboard, queue: str, sql: Sql) -> None:
    fill(sql, queue, 1)
    await visit(desk, dashboard, queue)
    await button(desk, "More filters").click()
    await desk.get_by_label("Payload path").fill("$.n >")
    problem = desk.get_by_role("alert")
    await expect(problem).to_contain_text('filter member "path" cannot be read: syntax error')
    await expect(problem).to_contain_text("22023")
    await expect(problem).to_contain_text("Use a JSON path as a string")
    await accessible(desk)
    await screenshot(desk, "queue-error-1440-light")
    await button(desk, "Clear").click()
    await expect(problem).to_have_count(0)
    await desk.get_by_label("Headers contain").fill("{")
    await expect(desk.get_by_text("Enter JSON, such as")).to_be_visible()
    await button(desk, "More filters").click()
    await expect(desk.get_by_label("Payload path")).to_be_hidden()
    await expect(ids(desk)).to_have_count(1)


async def test_u8_u9_an_outage_leaves_the_last_picture_and_one_banner(
    desk: Page, dashboard: Dashboard, embedded: Server, queue: str, sql: Sql
) -> None:
    fill(sql, queue, 2)
    sql(
        "insert into pgmq_gateway.samples"
        " select %s, now() - make_interval(secs => 30 * n), 30, true, 9, 9, 0, 0, n, 60 * n, 900, 5, 2, 1"
        " from generate_series(0, 9) as n",
        queue,
    )
    await visit(desk, dashboard, queue)
    chart = desk.get_by_role("figure", name="Messages by state")
    # No line for a state that no message has.
    for state, lines in (("visible", 1), ("delayed", 0), ("in-flight", 0)):
        await expect(chart.locator(f"path[stroke='var(--{state})']:not([d=''])")).to_have_count(lines)
    revoked = "execute on function pgmq_admin.history(text, timestamptz, integer)"
    sql(f"revoke {revoked} from service_role")
    try:
        await button(desk, "1 h").click()
        await expect(desk.get_by_text("permission denied for function history")).to_be_visible()
        await expect(chart.locator("path[stroke='var(--visible)']:not([d=''])")).to_have_count(1)
    finally:
        sql(f"grant {revoked} to service_role")
    new, access = await desk.context.new_page(), await desk.context.new_page()
    permission = access.get_by_role("switch", name="authenticated: permission to send")
    await access.goto(f"{dashboard.url}/access?queue={queue}")
    await expect(permission).to_be_visible()
    embedded.process.send_signal(signal.SIGSTOP)
    try:
        await new.goto(f"{dashboard.url}/queues/{queue}", wait_until="commit")
        await access.reload(wait_until="commit")
        for page in (desk, new):
            await expect(page.get_by_role("alert")).to_contain_text("The page is out of date.")
            await expect(page.get_by_role("alert")).to_have_count(1)
            await expect(ids(page)).to_have_count(2)
            await expect(page.get_by_text("No samples in this period.").first).to_be_hidden()
            await screenshot(page, f"queue-outage-{'old' if page is desk else 'new'}-1440-light")
        await expect(access.get_by_role("alert")).to_have_count(1)
        await expect(permission).to_be_visible()
        await screenshot(access, "access-outage-1440-light")
    finally:
        embedded.process.send_signal(signal.SIGCONT)
    for page in (desk, new, access):
        # The timer of the page Access takes longer.
        await page.get_by_role("button", name="Update now").click()
        await expect(page.get_by_role("alert")).to_have_count(0)
    await new.close()
    await access.close()


async def test_it_is_used_with_the_keyboard_alone(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql, rows: Rows
) -> None:
    fill(sql, queue, 2)
    await visit(desk, dashboard, queue)

    async def until_focus(locator: Locator) -> None:
        for _ in range(60):
            await desk.keyboard.press("Tab")
            if await locator.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(f"no way to {locator}")

    await until_focus(button(desk, "Send message"))
    await desk.keyboard.press("Enter")
    await expect(desk.get_by_label("Message (JSON)")).to_be_focused()
    # At once: the field passes its text on after a pause.
    await desk.keyboard.press("Control+A")
    await desk.keyboard.insert_text('{"n": 3}')
    await desk.keyboard.press("Control+Enter")
    await expect(ids(desk)).to_have_count(3)
    assert rows("message")[2] == ({"n": 3},)
    await until_focus(ids(desk).nth(1))
    await desk.keyboard.press("Enter")
    panel = opened(desk)
    await expect(button(panel, "Close (Esc)")).to_be_focused()
    await desk.keyboard.press("Escape")
    await expect(panel).to_have_count(0)
    await expect(ids(desk).nth(1)).to_be_focused()
    await desk.keyboard.press("Shift+Tab")
    await desk.keyboard.press("Space")
    await expect(desk.get_by_text("1 selected").first).to_be_visible()
    await desk.keyboard.press("Tab")
    await desk.keyboard.press("Enter")
    await until_focus(button(panel, "Delete"))
    await desk.keyboard.press("Enter")
    sure = button(desk, "Delete 1 message")
    await expect(sure).to_be_focused()
    await desk.keyboard.press("Enter")
    await expect(ids(desk)).to_have_text(["1", "3"])
    assert rows("msg_id") == [(1,), (3,)]


async def test_it_fits_a_narrow_screen_in_the_dark(desk: Page, dashboard: Dashboard, queue: str, sql: Sql) -> None:
    fill(sql, queue, 8)
    sql(
        "insert into pgmq_gateway.samples"
        " select %s, now() - make_interval(secs => 30 * n), 30, false, n, n - 2, 1, 1, n, 60 * n, 900 - 9 * n, 5, 2, 1"
        " from generate_series(0, 30) as n",
        queue,
    )
    await desk.emulate_media(color_scheme="dark")
    await visit(desk, dashboard, queue)
    await expect(desk.get_by_text("No samples in this period.").first).to_be_hidden()
    await screenshot(desk, "queue-1440-dark")
    await desk.set_viewport_size({"width": 390, "height": 844})
    await screenshot(desk, "queue-390-dark")
    await accessible(desk)
    await desk.get_by_role("navigation", name="Pages of messages").scroll_into_view_if_needed()
    await screenshot(desk, "queue-messages-390-dark")
    await ids(desk).first.click()
    panel = opened(desk)
    await expect(panel.locator(".json")).to_be_visible()
    assert await panel.evaluate("panel => panel.scrollWidth <= panel.clientWidth")
    await screenshot(desk, "queue-panel-390-dark")
    await button(panel, "Postpone").click()
    question = desk.get_by_role("dialog").filter(has_text="Postpone 1 message?")
    await expect(question).to_be_visible()
    await screenshot(desk, "queue-postpone-390-dark")
    await desk.keyboard.press("Escape")
    await expect(desk.locator(".q-dialog")).to_have_count(0)
    await desk.keyboard.press("Escape")
    await expect(panel).to_have_count(0)
    await button(desk, "More").click()
    await desk.get_by_role("menuitem", name="Purge").click()
    await expect(desk.get_by_role("dialog").filter(has_text=f"Purge {queue}?")).to_be_visible()
    await screenshot(desk, "queue-purge-390-dark")
    await desk.keyboard.press("Escape")
    await button(desk, "Send message").click()
    await expect(desk.get_by_label("Message (JSON)")).to_be_visible()
    await screenshot(desk, "queue-send-390-dark")
    await accessible(desk)


async def test_a_long_queue_is_counted_after_its_page_is_shown(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql
) -> None:
    sql("select count(*) from pgmq.send_batch(%s, array_fill('{\"n\": 1}'::jsonb, array[20000]))", queue)
    assert sql("select exact from pgmq_admin.list_queues() where queue_name = %s", queue) == [(False,)]
    await visit(desk, dashboard, queue)
    await expect(total(desk, "Messages")).to_have_text("20,000")
    await expect(total(desk, "Visible")).to_have_text("20,000")
    sql(f"delete from pgmq.q_{queue} where msg_id > 1")
    sql(f"vacuum full pgmq.q_{queue}")
    await expect(total(desk, "Messages")).to_have_text("1")


async def test_the_address_has_filter_order_view_and_the_open_message(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql
) -> None:
    sql(
        "select pgmq.send(%s, jsonb_build_object('user', jsonb_build_object('id', mod(n, 3))))"
        " from generate_series(1, 130) as n",
        queue,
    )
    await visit(desk, dashboard, queue)
    start = f"{dashboard.url}/queues/{queue}"
    # Twelve rows are above the fold.
    twelfth, foot = await ids(desk).nth(11).bounding_box(), await desk.locator(".foot").bounding_box()
    assert twelfth is not None
    assert foot is not None
    assert twelfth["y"] + twelfth["height"] < foot["y"] < 900
    position = desk.get_by_role("navigation", name="Pages of messages").get_by_role("status")
    await expect(position).to_have_text("1-50 of 130")
    await expect(desk.get_by_role("toolbar", name="Actions")).to_be_hidden()
    await button(desk, "Next").click()
    await expect(position).to_have_text("51-100 of 130")
    await desk.reload()
    await expect(position).to_have_text("51-100 of 130")
    await desk.goto(f"{start}/messages/7")
    payload = opened(desk).get_by_role("region", name="payload")
    await button(payload, "1").click()
    await expect(desk).to_have_url(f"{start}/messages/7?where=user.id%20%3D%201")
    await expect(position).to_have_text("1-44 of 44")
    await expect(desk.get_by_role("button", name="Actions on all 44 matching messages")).to_be_enabled()
    await desk.keyboard.press("j")
    await expect(opened(desk)).to_contain_text("Message 10")
    await button(opened(desk), "Previous message (k)").click()
    await expect(opened(desk)).to_contain_text("Message 7")
    await accessible(desk)
    await desk.keyboard.press("Escape")
    await expect(desk).to_have_url(f"{start}?where=user.id%20%3D%201")
    await desk.go_back()
    await expect(opened(desk)).to_contain_text("Message 7")
    await button(desk, "Add condition").click()
    await desk.get_by_label("Field", exact=True).fill("user.name")
    await desk.get_by_label("Value", exact=True).fill("Ann")
    await desk.keyboard.press("Enter")
    await expect(desk.get_by_text("No message matches the filter.")).to_be_visible()
    await button(desk, "Remove the condition user.name = Ann").click()
    await expect(position).to_have_text("1-44 of 44")
    await desk.get_by_role("tab", name="Archive").click()
    await expect(desk).to_have_url(f"{start}?view=Archive&where=user.id%20%3D%201")
    # The browser remembers that the charts are folded.
    await button(desk, "Over time").click()
    await expect(desk.get_by_role("region", name="Charts")).to_be_hidden()
    await desk.goto(start)
    await expect(ids(desk)).to_have_count(50)
    await expect(desk.get_by_role("region", name="Charts")).to_be_hidden()
    await button(desk, "Over time").click()
    await expect(desk.locator(".chart svg")).to_have_count(3)
    await desk.context.clear_cookies(name="pgmq_dashboard_charts")


async def test_an_id_of_thousands_of_digits_is_no_message(desk: Page, dashboard: Dashboard, queue: str) -> None:
    await desk.goto(f"{dashboard.url}/queues/{queue}/messages/{'9' * 5000}")
    await expect(desk.get_by_role("main")).to_contain_text("does not exist")


async def test_rows_stay_under_the_pointer_and_images_are_shown(
    desk: Page, dashboard: Dashboard, queue: str, sql: Sql
) -> None:
    image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    sql("select pgmq.send(%s, jsonb_build_object('image', %s::text, 'text', repeat('x', 1000)))", queue, image)
    await visit(desk, dashboard, queue)
    await ids(desk).first.click()
    shown = opened(desk).get_by_role("img", name="Image in")
    await expect(shown).to_have_js_property("naturalWidth", 1)
    await button(opened(desk), "Show all 1,000 characters").click()
    await expect(opened(desk)).to_contain_text("x" * 1000)
    await desk.locator(".messages tbody tr").first.hover()
    sql("select pgmq.send(%s, '2')", queue)
    await expect(desk.get_by_role("button", name="1 new")).to_be_visible()
    await expect(ids(desk)).to_have_text(["1"])
    await desk.get_by_role("button", name="1 new").press("Enter")
    await expect(ids(desk)).to_have_text(["1", "2"])
    await desk.get_by_role("heading", level=1).hover()
    sql("select pgmq.send(%s, '3')", queue)
    await expect(ids(desk)).to_have_text(["1", "2", "3"])
    # Typed text is not lost by Esc, however long it is pressed.
    await button(desk, "Send message").click()
    await desk.get_by_label("Message (JSON)").fill('{"typed": 1}')
    await desk.keyboard.press("Escape", delay=500)
    await button(desk.get_by_role("dialog", name="Discard your changes?"), "Cancel").click()
    await expect(desk.get_by_label("Message (JSON)")).to_have_value('{"typed": 1}')
