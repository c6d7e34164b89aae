"""Settings that are URIs, checked as PostgREST checks them."""

import re
from urllib.parse import urlsplit

# RFC 3986: a scheme, and characters that are allowed somewhere in a URI.
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:(?:[\w\-.~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*", re.ASCII)


def check_string_or_uri(text: str) -> None:
    """Raises ValueError unless this is a StringOrURI (RFC 7519, section 2)."""
    if ":" in text and not URI.fullmatch(text):
        raise ValueError(f"{text!r} has a colon and is not a URI: write one such as https://example.org, or no colon")


def check_base_url(text: str) -> None:
    """Raises ValueError unless this is a URL that paths can be appended to."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or not URI.fullmatch(text):
        raise ValueError(f"{text!r} is not the URL of an API: write one such as https://example.com:8443/basePath")
