"""Where connections may go: an address that is not public is refused in every spelling, others are not."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luxscaler.errors import InputError
from luxscaler.web.reach import PUBLIC, Reach, literal

REFUSED = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.8",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "::127.0.0.1",
    "::ffff:0:7f00:1",
    "4000::1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
]
PUBLIC_ADDRESSES = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert PUBLIC.refusal(address, 80)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_public_address_is_not(address: str) -> None:
    assert PUBLIC.refusal(address, 80) == ""


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_every_dress(address: ipaddress.IPv4Address) -> None:
    plain = bool(PUBLIC.refusal(str(address), 80))
    assert bool(PUBLIC.refusal(f"::ffff:{address}", 80)) == plain
    assert bool(PUBLIC.refusal(str(ipaddress.IPv6Address((0x64FF9B << 96) | int(address))), 80)) == plain
    for spelling in (str(int(address)), hex(int(address)), oct(int(address)).replace("o", ""), str(address)):
        assert literal(spelling) == str(address)
        assert bool(PUBLIC.misnamed(spelling)) == plain


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "localhost.", "app.localhost", "127.1", "0177.0.0.1", "0x7f.1"),
        "2130706433",
        *("0x7f000001", "017700000001", "0", "::1", "::ffff:127.0.0.1", "１２７.０.０.１", "127。0。0。1"),
    ],
)
def test_a_name_that_says_by_itself_that_it_stays_here_is_refused(host: str) -> None:
    assert PUBLIC.misnamed(host)


@pytest.mark.parametrize(
    "host", ["example.com", "127.0.0.1.example.com", "localhost.example.com", "1.1.1.1", "a-1"]
)
def test_other_names_are_looked_up_first(host: str) -> None:
    assert PUBLIC.misnamed(host) == ""


def test_networks_can_be_allowed() -> None:
    reach = Reach.parse("127.0.0.0/8, 10.1.2.3,fd00::/8", "X")
    for address in ("127.0.0.1", "::ffff:127.0.0.1", "10.1.2.3", "fd00::1", "1.1.1.1"):
        assert reach.refusal(address, 80) == ""
    for address in ("10.1.2.4", "192.168.0.1", "::1"):
        assert reach.refusal(address, 80)
    assert reach.misnamed("localhost") == ""
    assert Reach.parse("any", "X").refusal("::1", 80) == ""
    assert Reach.parse("", "X") == PUBLIC


@pytest.mark.parametrize("text", ["localhost", "127.0.0.1/8/8", "any,10.0.0.0/8", "300.1.1.1"])
def test_what_is_no_network_is_an_error_that_names_the_option(text: str) -> None:
    with pytest.raises(InputError, match=r"THE_OPTION is .*it must be networks"):
        Reach.parse(text, "THE_OPTION")


def test_a_service_is_never_led_to_its_own_controls() -> None:
    reach = Reach(anywhere=True, never=frozenset({("127.0.0.1", 5000)}))
    assert reach.refusal("127.0.0.1", 5000) == "an address of this service itself"
    assert reach.refusal("::ffff:127.0.0.1", 5000)
    assert reach.refusal("127.0.0.1", 5001) == ""


def test_a_host_that_the_user_chose_may_be_anywhere() -> None:
    reach = Reach(hosts=frozenset({"gateway.lan"}))
    assert reach.refusal("192.168.1.5", 5100, "gateway.lan") == ""
    assert reach.refusal("192.168.1.5", 5100, "other.lan")
