"""Request lines with bytes that are not ASCII, as `curl '…?name=é'` sends them."""

from urllib.parse import quote_from_bytes

ASCII = "".join(map(chr, range(128)))


class RequestLines:
    """Percent-encodes such bytes: the parser refuses them, and PostgREST reads them as UTF-8."""

    def __init__(self) -> None:
        self._incomplete = False

    def encoded(self, data: bytes, *, begins: bool) -> bytes:
        """The received data. It stays as it is unless it has a part of a request line.

        begins  whether a request begins with this data. In data with the end of another request, where the next one
                begins is unknown here; the parser refuses its bytes that are not ASCII
        """
        if not begins and not self._incomplete:
            return data
        # Line breaks in front of a request are ignored (RFC 9112, section 2.2).
        start = 0 if self._incomplete else len(data) - len(data.lstrip(b"\r\n"))
        end = data.find(b"\n", start)
        self._incomplete = end < 0 and (self._incomplete or start < len(data))
        line = data if end < 0 else data[:end]
        if line.isascii():
            return data
        return quote_from_bytes(line, safe=ASCII).encode() + data[len(line) :]
