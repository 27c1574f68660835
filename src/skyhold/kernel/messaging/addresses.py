"""Several addresses of one broker, in the way people write them.

    amqp://user:password@a:5672,b:5672,c/vhost

The nodes of a cluster share account and vhost.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit


def split(url: str) -> list[str]:
    """The URL once for each of its hosts, in their order."""
    parts = urlsplit(url)
    account, at, hosts = parts.netloc.rpartition("@")
    return [
        parts._replace(netloc=f"{account}{at}{host.strip()}").geturl() for host in hosts.split(",")
    ]


def hosts(url: str) -> str:
    """The names of its hosts, for people to read."""
    return ", ".join(str(urlsplit(one).hostname) for one in split(url))


def with_defaults(url: str, *, heartbeat_s: int, name: str) -> str:
    """The address with what the client library reads from it: a heartbeat, a name to show."""
    parts = urlsplit(url)
    query = {"heartbeat": str(heartbeat_s), "name": name} | dict(parse_qsl(parts.query))
    return urlunsplit(parts._replace(query=urlencode(query)))
