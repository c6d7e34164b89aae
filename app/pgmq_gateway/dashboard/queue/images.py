"""Images in strings of a payload, as base64 or as a data URI."""

import base64
import binascii
import re

# About a megabyte of image.
MAX_CHARACTERS = 1_400_000
MIN_CHARACTERS = 64
# The first bytes of the known types. SVG is none of them: it can contain scripts.
SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
DATA_URI = re.compile(r"data:image/[a-z.+-]+;base64,")


def image_type(text: str) -> str:
    """The media type of an image, by its content; empty when the text is none."""
    if not MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS:
        return ""
    found = DATA_URI.match(text)
    encoded = text[found.end() :] if found else text
    try:
        head = base64.b64decode(encoded[:16], validate=True)
        kind = next((kind for signature, kind in SIGNATURES.items() if head.startswith(signature)), "")
        if kind:
            base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return kind
