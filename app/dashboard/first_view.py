"""What a browser paints of a page before its scripts have run: the page's elements as plain HTML, in the same places.

The server has a page's data after some 100 ms; browsers take half a second more to evaluate NiceGUI's scripts. People
read meanwhile. Nothing of it can be used, and screen readers pass over it: it goes when the page itself is there.
"""

from collections.abc import Iterable
from functools import singledispatch
from html import escape

from nicegui import Client, ui
from nicegui.element import Element

# Of an element's properties, those that say how it looks.
PROPERTIES = frozenset(
    {"aria-current", "aria-sort", "colspan", "d", "height", "href", "points", "role", "viewBox", "width"}
)
# Quasar's elements around the content: they are divisions with a class of their own name.
FRAMES = frozenset({"q-layout", "q-page-container", "q-page"})
BUTTON = (
    "q-btn q-btn-item non-selectable no-outline q-btn--unelevated q-btn--rectangle q-btn--no-uppercase q-btn--dense"
)
INSIDE = "q-btn__content text-center col items-center justify-center row"
# NiceGUI mounts its page into #app, which is empty before.
GONE = """<script type="module">
new MutationObserver((_, watch) => {
  watch.disconnect();
  document.getElementById("first-view").remove();
}).observe(document.getElementById("app"), { childList: true });
</script>"""


def add(client: Client) -> None:
    """Have the browser paint the page, as it is now, before it runs the scripts. Only before the page is sent."""
    with client:
        ui.add_body_html(f'<div id="first-view" aria-hidden="true" inert>{view(client.layout)}</div>{GONE}')


def tag(name: str, classes: Iterable[str], *inside: str, **more: object) -> str:
    """An element of HTML; what is inside it is HTML already."""
    given = "".join(f' {key.replace("_", "-")}="{escape(str(value))}"' for key, value in more.items())
    return f'<{name} class="{escape(" ".join(classes))}"{given}>{"".join(inside)}</{name}>'


def view(element: Element) -> str:
    """An element as it looks; nothing for one that is hidden, or that only scripts can draw."""
    return drawn(element) if element.visible else ""


@singledispatch
def drawn(element: Element) -> str:
    """A visible element as HTML. Elements with looks of their own register how they are drawn."""
    if element.tag in FRAMES:
        return _plain("div", element, element.tag)
    return "" if "-" in element.tag else _plain(element.tag, element)


def _plain(name: str, element: Element, *classes: str) -> str:
    style = "; ".join(f"{property_}: {value}" for property_, value in element.style.items())
    given = {name: value for name, value in element.props.items() if name in PROPERTIES and value is not None}
    given |= {"style": style} if style else {}
    text = escape(getattr(element, "text", ""))
    return tag(name, [*classes, *element.classes], text, *_children(element), **given)


def _children(element: Element) -> Iterable[str]:
    return map(view, element.default_slot.children)


@drawn.register
def _(element: ui.link) -> str:
    return _plain("a", element)


@drawn.register
def _(element: ui.icon) -> str:
    return tag("i", ["q-icon material-icons"], escape(element.props["name"]))


@drawn.register
def _(element: ui.button) -> str:
    flat = ["q-btn--flat"] if "flat" in element.props else []
    unable = [] if element.enabled else ["disabled"]
    return _button([*flat, *unable, *element.classes], element.props.get("label", ""), element.props.get("icon"))


def _button(classes: Iterable[str], label: str, icon: str | None = None) -> str:
    left = "on-left" if label else ""
    picture = tag("i", ["q-icon material-icons", left], escape(icon)) if icon else ""
    words = tag("span", ["block"], escape(label)) if label else ""
    return tag("span", [BUTTON, *classes], tag("span", [INSIDE], picture, words))


@drawn.register
def _(element: ui.toggle) -> str:
    chosen = element.props["model-value"]
    buttons = (
        _button(["bg-primary"] if option["value"] == chosen else [], option["label"])
        for option in element.props["options"]
    )
    return tag("div", ["q-btn-group q-btn-group--unelevated row no-wrap inline", *element.classes], *buttons)


@drawn.register
def _(element: ui.tabs) -> str:
    inside = tag("div", ["q-tabs__content row no-wrap items-center self-stretch"], *_children(element))
    return tag("div", ["q-tabs row no-wrap items-center q-tabs--dense", *element.classes], inside)


@drawn.register
def _(element: ui.tab) -> str:
    tabs = element.parent_slot.parent if element.parent_slot else None
    active = isinstance(tabs, ui.tabs) and tabs.value == element.props["name"]
    label = tag("div", ["q-tab__label"], escape(element.props["label"]))
    content = tag("div", ["q-tab__content self-stretch flex-center relative-position column"], label)
    line = tag("div", ["q-tab__indicator absolute-bottom"])
    look = "q-tab--active" if active else "q-tab--inactive"
    return tag("div", ["q-tab relative-position self-stretch flex flex-center q-tab--no-caps", look], content, line)


@drawn.register
def _(element: ui.switch) -> str:
    on = "q-toggle__inner--truthy text-primary" if element.value else "q-toggle__inner--falsy"
    parts = (tag("div", [f"q-toggle__{part}"]) for part in ("track", "thumb absolute"))
    inner = tag("div", ["q-toggle__inner relative-position", on], *parts)
    label = tag("div", ["q-toggle__label"], escape(element.text)) if element.text else ""
    dense = ["q-toggle--dense"] if "dense" in element.props else []
    return tag("div", ["q-toggle row inline no-wrap items-center", *dense, *element.classes], inner, label)


@drawn.register(ui.input)
@drawn.register(ui.select)
def _(element: ui.input | ui.select) -> str:
    value = element.value
    if isinstance(element, ui.select) and isinstance(element.options, dict):
        value = element.options.get(value)
    label, hint = (str(element.props.get(name) or "") for name in ("label", "placeholder"))
    said = tag("span", ["ellipsis"], escape(str(value))) if value else tag("span", ["ellipsis muted"], escape(hint))
    place = tag(
        "div",
        ["q-field__control-container col relative-position row no-wrap"],
        tag("div", ["q-field__label absolute ellipsis"], escape(label)),
        tag("div", ["q-field__native row items-center"], said),
    )
    control = tag("div", ["q-field__control relative-position row no-wrap"], place)
    looks = {
        "labeled": bool(label),
        "float": bool(value or hint) or "stack-label" in element.props,
        "with-bottom": bool(element.validation) and "hide-bottom-space" not in element.props,
    }
    classes = ["q-field row no-wrap items-start q-field--outlined q-field--dense"]
    classes += [f"q-field--{look}" for look, on in looks.items() if on]
    inner = tag("div", ["q-field__inner relative-position col self-stretch"], control)
    return tag("div", [*classes, *element.classes], inner)
