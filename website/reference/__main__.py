"""Writes the generated pages: `make reference`."""

from website.reference import pages

for path, text in pages().items():
    path.write_text(text)
