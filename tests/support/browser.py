"""A viewer of a site: it keeps cookies, follows redirects, sends forms, and calls one host name only."""

from __future__ import annotations

import http.client
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urlencode, urljoin, urlsplit

from tests.support.waiting import PATIENCE

_REDIRECTS = (301, 302, 303, 307, 308)


class LeftSiteError(AssertionError):
    """A redirect leads to another host or scheme than those of the site."""


@dataclass(frozen=True)
class Answer:
    """The answer to a request, after redirects. ``url`` is the address that gave it."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def field(self, name: str) -> str:
        """Return the value of a field of a form."""
        for tag in re.findall(r"<input[^>]*>", self.text):
            if re.search(rf"""name=['"]{re.escape(name)}['"]""", tag) and (
                found := re.search(r"""value=['"]([^'"]*)""", tag)
            ):
                return unescape(found[1])
        raise AssertionError(f"{self.url} has no field {name}:\n{self.text[:2000]}")


@dataclass
class Browser:
    """A viewer at ``https://host``, whose requests go to ``address``: the simulated edge."""

    host: str
    address: str
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def site(self) -> str:
        """The address of the site."""
        return f"https://{self.host}"

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to a GET."""
        return self.send("GET", urljoin(self.site, path), None, headers or {})

    def post(self, path: str, form: Mapping[str, str], upload: tuple[str, str, bytes] | None = None) -> Answer:
        """Send a form as a browser does, with an upload of (field, file name, content)."""
        url = urljoin(self.site, path)
        headers = {"Origin": self.site, "Referer": url}
        if upload is None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return self.send("POST", url, urlencode(form).encode(), headers)
        boundary = uuid.uuid4().hex
        parts = [(f'name="{name}"', value.encode()) for name, value in form.items()]
        parts.append((f'name="{upload[0]}"; filename="{upload[1]}"\r\nContent-Type: image/png', upload[2]))
        body = b"".join(
            f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
            for head, content in parts
        )
        headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
        return self.send("POST", url, body + f"--{boundary}--\r\n".encode(), headers)

    def send(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Send a request and follow redirects within the site."""
        for _ in range(10):
            answer = self._once(method, url, body, headers)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or location is None:
                return answer
            target = urljoin(url, location)
            if (urlsplit(target).scheme, urlsplit(target).netloc) != ("https", self.host):
                raise LeftSiteError(f"{url} redirects to {target}")
            method, url, body, headers = "GET", target, None, {}
        raise AssertionError(f"{url} redirects without end")

    def _once(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        response = self.open(method, url, body, headers)
        received = response.read()
        return Answer(url, response.status, {key.lower(): value for key, value in response.getheaders()}, received)

    def open(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """Send a request, and return the response as soon as its headers are here."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=PATIENCE)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"Host": self.host, **(headers or {}), **({"Cookie": cookies} if cookies else {})}
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        for header in response.headers.get_all("Set-Cookie") or []:
            name, _, value = header.partition(";")[0].partition("=")
            self.cookies[name] = value
        return response
