"""Where a connection may go whose address somebody else has named: public addresses, and what is allowed.

A name says nothing about where it leads, so the address of the connection itself is checked: `127.0.0.1`,
`2130706433`, `0x7f.1`, `::ffff:7f00:1` and a name whose server answers `127.0.0.1` all come here as the same
address. What a name alone shows (`misnamed`) is checked too, because a client hears of it sooner.
"""

import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from luxscaler.errors import InputError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ANYWHERE = "any"
"""Instead of networks: all addresses are allowed."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")
_COMPATIBLE = ipaddress.ip_network("::/96")
_UNICAST = ipaddress.ip_network("2000::/3")
"""All public addresses of version 6; others carry one of version 4, in forms that not every list names."""
_NEVER_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4"),
        *("64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16"),
        *("fc00::/7", "fec0::/10"),
    )
)
"""Beside what Python calls loopback, link-local, private or multicast; its own list grew between versions."""


@dataclass(frozen=True)
class Reach:
    """Public addresses, and what is allowed or forbidden besides."""

    networks: tuple[Network, ...] = ()
    """Allowed though they are not public."""
    anywhere: bool = False
    hosts: frozenset[str] = frozenset()
    """Names that the user has chosen: they may lead anywhere."""
    never: frozenset[tuple[str, int]] = frozenset()
    """(address, port) to which nothing goes, whatever else is allowed: a container's own controls."""

    @classmethod
    def parse(cls, text: str, where: str) -> "Reach":
        """From `127.0.0.0/8,10.1.2.3`, `any`, or nothing. where: the option's name, for InputError."""
        words = [word.strip() for word in text.split(",") if word.strip()]
        if words == [ANYWHERE]:
            return cls(anywhere=True)
        try:
            return cls(tuple(ipaddress.ip_network(word, strict=False) for word in words))
        except ValueError as error:
            raise InputError(
                f"{where} is {text[:100]!r}; it must be networks, e.g. 127.0.0.0/8,10.1.2.3, or {ANYWHERE!r}"
            ) from error

    def refusal(self, address: str, port: int = 0, host: str = "") -> str:
        """Why nothing may go to that address, e.g. "a loopback address"; empty if it may.

        address: as `getaddrinfo` gives it. host: the name that led there.
        """
        found = ipaddress.ip_address(address.partition("%")[0])
        if any((str(one), port) in self.never for one in (found, *_carried(found))):
            return "an address of this service itself"
        if self.anywhere or host.lower() in self.hosts:
            return ""
        for one in (found, *_carried(found)):
            kind = _kind(one)
            if kind and not any(one in network for network in self.networks):
                return kind
        return ""

    def misnamed(self, host: str) -> str:
        """`refusal` of a host that is an address in any spelling, or a name of this machine; else empty."""
        try:
            plain = host.encode("idna").decode().lower().rstrip(".")
        except UnicodeError:
            return "no name of a host"
        if plain == "localhost" or plain.endswith(".localhost"):
            return self.refusal("127.0.0.1", host=host) and "a name of this machine"
        address = literal(plain)
        return self.refusal(address, host=host) if address else ""


PUBLIC = Reach()


def literal(host: str) -> str:
    """The address that a host's text is by itself, in every spelling that resolvers know; else empty."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host)) if host and not host.isspace() else ""
    except (OSError, UnicodeError):
        return ""


def _carried(address: Address) -> Iterator[Address]:
    """IPv4 addresses inside an IPv6 address, to which a network may translate it."""
    if isinstance(address, ipaddress.IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    elif address in _SIX_TO_FOUR and address.sixtofour is not None:
        yield address.sixtofour


def _kind(address: Address) -> str:
    """What an address is if it is not public; empty if it is."""
    if isinstance(address, ipaddress.IPv6Address) and next(_carried(address), None) is not None:
        return ""  # what it carries decides
    for name in ("unspecified", "loopback", "link_local", "multicast"):
        if getattr(address, f"is_{name}"):
            article = "an" if name == "unspecified" else "a"
            return f"{article} {name.replace('_', '-')} address"
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
        return "a private or reserved address"
    reserved = any(address in network for network in _NEVER_PUBLIC if network.version == address.version)
    return "a private or reserved address" if reserved or not address.is_global else ""
