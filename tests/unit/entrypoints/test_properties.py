from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam.domain.cidr import Cidr
from ipam.domain.errors import PermanentError
from ipam.domain.free_space import pack
from ipam.domain.owner import Grant
from ipam.domain.plan import Ask
from ipam.entrypoints.answers import MAX_BODY, Answer, encode, unmade_id
from ipam.entrypoints.cn_cidr import dates
from ipam.entrypoints.cn_cidr.get_cn_cidr import _answer
from ipam.entrypoints.cn_cidr.properties import GET_PROPERTIES, MAX_SUBNETS, announcement, claim, order
from ipam.entrypoints.errors import InvalidPropertyError, UnknownPropertyError
from ipam.entrypoints.events import MAX_PHYSICAL_ID, parse
from ipam.entrypoints.properties import shown
from ipam.entrypoints.reasons import MAX_REASON, reason
from tests.unit.entrypoints.stage import PLACE, allocation_id, at, event, readdressed

REGION = "eu-central-1"
RETURN = {
    "Authorizationkey": "k" * 64,
    "IpamPoolAllocationId": allocation_id(1),
    "Cidr": "10.0.0.0/24",
    "CreationDate": "2026-11-20T08:00:00.000Z",
}

BAD_MASKS = [
    " 24 ", "24 ", "2_4", "+24", "-1", "/24", "024", "24.0", "0x18", "", "24\n", "24\u0000",
    "\u0662\u0664", "\uff12\uff14", "\u00b2", "33", "999", "9999", "1e1", 24, 24.0, True, None, ["24"], {"x": "24"},
]  # fmt: skip


@pytest.mark.parametrize("mask", BAD_MASKS, ids=repr)
def test_a_mask_is_a_plain_decimal_number(mask: Any) -> None:
    """What int() would accept, or a person might write, is refused by the property's name."""
    with pytest.raises(InvalidPropertyError) as refused:
        order({"CnCidrMask": mask}, REGION)
    assert reason(refused.value).startswith("CnCidrMask ")


@given(st.text(max_size=6))
def test_no_other_text_is_a_mask(text: str) -> None:
    """The only texts that are masks are the numbers 0 to 32 as str() writes them."""
    try:
        assert order({"CnCidrMask": text}, REGION).ask.netmask_length == int(text)
        assert text == str(int(text))
    except InvalidPropertyError:
        assert text not in {str(number) for number in range(33)}


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_every_length_of_the_family_is_a_mask(family: str) -> None:
    """The pool's rules decide what is served; here all lengths of the family can be asked for."""
    for length in range(33 if family == "ipv4" else 129):
        assert order({"CnCidrMask": str(length), "AddressFamily": family}, REGION).ask.netmask_length == length


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"Description": "x" * 256}, "Description"),
    ({"Description": ["x"]}, "Description"),
    ({"Description": "\x1b[31mred"}, "Description"),
    ({"Description": "\x85"}, "Description"),
    ({"Description": "\ud800"}, "Description"),
    ({"IpamPoolId": "pool"}, "IpamPoolId"),
    ({"IpamPoolId": allocation_id(1)}, "IpamPoolId"),
    ({"IpamPoolId": ""}, "IpamPoolId"),
    ({"IpamPoolId": "ipam-pool-0123456789abcdef0\n"}, "IpamPoolId"),
    ({"PoolName": ""}, "PoolName"),
    ({"PoolName": "x" * 256}, "PoolName"),
    ({"PoolName": "a\nb"}, "PoolName"),
    ({"PoolName": 7}, "PoolName"),
    ({"PoolName": "vpcs", "IpamPoolId": "ipam-pool-0123456789abcdef0"}, "PoolName"),
    ({"AllocationType": "VPC"}, "AllocationType"),
    ({"AllocationType": "eip"}, "AllocationType"),
    ({"AllocationType": ["vpc"]}, "AllocationType"),
    ({"AddressFamily": "4"}, "AddressFamily"),
    ({"AddressFamily": "ipv6", "Cidr": "10.0.0.0/24"}, "AddressFamily"),
    ({"Cidr": "10.0.0.1/24"}, "Cidr"),
    ({"Cidr": "10.0.0.0"}, "Cidr"),
    ({"Cidr": "10.0.0.0/255.255.255.0"}, "Cidr"),
    ({"Cidr": "10/8"}, "Cidr"),
    ({"Cidr": ""}, "Cidr"),
    ({"Cidr": 10}, "Cidr"),
    ({"Cidr": "10.0.0.0/24", "CnCidrMask": "25"}, "CnCidrMask"),
    ({"SubnetMasks": ["26"]}, "SubnetMasks"),
    ({"SubnetMasks": [], "CnCidrMask": "24"}, "SubnetMasks"),
    ({"SubnetMasks": "26", "CnCidrMask": "24"}, "SubnetMasks"),
    ({"SubnetMasks": ["26", 26], "CnCidrMask": "24"}, "SubnetMasks"),
    ({"SubnetMasks": ["26,26"], "CnCidrMask": "24"}, "SubnetMasks"),
    ({"SubnetMasks": ["23"], "CnCidrMask": "24"}, "SubnetMasks"),
    ({"SubnetMasks": ["25", "25", "32"], "CnCidrMask": "24"}, "SubnetMasks"),
    ({"SubnetMasks": ["32"] * 49, "CnCidrMask": "24"}, "SubnetMasks"),
    ({"SubnetMasks": ["64"] * 25, "CnCidrMask": "56", "AddressFamily": "ipv6"}, "SubnetMasks"),
]


@pytest.mark.parametrize(("values", "name"), REFUSED, ids=lambda value: str(value)[:50])
def test_a_bad_property_is_refused_by_its_name(values: dict[str, Any], name: str) -> None:
    """The Reason begins with the property, and ends with what to do."""
    with pytest.raises(InvalidPropertyError) as refused:
        order(values, REGION)
    said = reason(refused.value)
    assert said.startswith(f"{name} ")
    assert refused.value.remedy
    assert said.isprintable()


def test_a_description_may_have_lines() -> None:
    """Free text is stored as it is, line breaks and all, up to 255 characters."""
    text = "first\nsecond\tthird\r\n" + "\u00e4" * 235
    assert order({"Description": text}, REGION).description == text


def test_what_is_left_out_has_a_default() -> None:
    """Nothing but a pool's default is needed: a VPC's IPv4 block in the stack's Region."""
    asked = order({"ServiceToken": "x", "ServiceTimeout": "300"}, REGION)
    assert asked.ask == Ask(None, None, REGION, "vpc", 4, None, None)
    assert (asked.description, asked.subnets) == ("", ())


def test_a_cidr_says_its_family() -> None:
    """AddressFamily can be left out where Cidr is given, and the mask may repeat what Cidr says."""
    asked = order({"Cidr": "fd00::/56", "CnCidrMask": "56", "SubnetMasks": ["64"]}, REGION)
    assert (asked.ask.family, asked.ask.cidr, asked.subnets) == (6, Cidr.parse("fd00::/56"), (64,))


@pytest.mark.parametrize("name", [name[:-1] + "x" for name in GET_PROPERTIES] + ["cncidrmask", "CnCIDRMask"])
def test_an_unknown_property_is_refused_with_what_may_be_meant(name: str) -> None:
    """A misspelt property would be ignored elsewhere and cost an afternoon."""
    with pytest.raises(UnknownPropertyError) as refused:
        order({"CnCidrMask": "24", name: "x"}, REGION)
    assert f'"{name}"' in reason(refused.value)
    assert "Did you mean" in reason(refused.value) or name == "cncidrmask"


def test_a_wholly_unknown_property_is_to_be_taken_out() -> None:
    """Where nothing resembles it, the remedy is to remove it."""
    with pytest.raises(UnknownPropertyError) as refused:
        order({"Zzz": "x"}, REGION)
    assert "Take it out" in reason(refused.value)


@pytest.mark.parametrize("name", RETURN)
@pytest.mark.parametrize("value", [None, "", "x", 7, [], "\n"], ids=repr)
def test_the_return_needs_all_its_properties(name: str, value: Any) -> None:
    """Each is refused by name when it is missing or malformed; of the key nothing is repeated."""
    values = {key: kept for key, kept in RETURN.items() if key != name} | ({} if value is None else {name: value})
    if (name, value) == ("Authorizationkey", "x"):
        assert announcement(values)[1] == "x"
        return
    with pytest.raises(InvalidPropertyError) as refused:
        announcement(values)
    assert reason(refused.value).startswith(name)


@pytest.mark.parametrize("key", ["k" * 129, "with space", "k\u00e4y", "\ud800", ["secret-in-a-list"]])
def test_a_malformed_key_is_never_repeated(key: Any) -> None:
    """The Reason says that the key is malformed, and nothing of what it is."""
    with pytest.raises(InvalidPropertyError) as refused:
        announcement(RETURN | {"Authorizationkey": key})
    assert refused.value.shown == ""
    assert "secret" not in reason(refused.value)


def test_the_claim_needs_no_key() -> None:
    """What a Delete goes by is read whatever else the properties are."""
    said = claim(RETURN | {"Authorizationkey": 7, "Unknown": "x"})
    assert (said.allocation_id, said.cidr, said.created) == (allocation_id(1), "10.0.0.0/24", at(8))


@given(st.integers(0, 253_402_300_799_999))
def test_a_creation_date_comes_back_as_it_went(milliseconds: int) -> None:
    """Writing and reading a time loses nothing."""
    assert dates.read(dates.written(milliseconds)) == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T08:00:00Z", "2026-11-20T08:00:00.000", "2026-11-20 08:00:00.000Z", "2026-11-20T08:00:00.000+00:00",
        "2026-13-20T08:00:00.000Z", "2026-02-30T08:00:00.000Z", "2026-11-20T24:00:00.000Z", "2026-11-20T08:00:00.000z",
        "20261120T080000.000Z", "\u0662026-11-20T08:00:00.000Z", "2026-11-20T08:00:00.000Z\n", "",
    ],
)  # fmt: skip
def test_a_creation_date_has_one_form(text: str) -> None:
    """Any other spelling of a time is none: the three facts of a return are compared exactly."""
    assert dates.read(text) is None


def test_a_value_is_shown_short_and_on_one_line() -> None:
    """What a message repeats is quoted, cut, and has its control characters escaped."""
    assert shown("a\nb") == '"a\\nb"'
    assert shown("x" * 100) == '"' + "x" * 40 + '…"'
    assert shown("\u202etxet") == '"\\u202etxet"'
    others: list[Any] = [[], {}, 1, 1.5, True, None]
    assert [shown(value) for value in others] == [
        "a list", "a map", "a number", "a number", "a boolean", "null",
    ]  # fmt: skip


# --------------------------------------------------------------------------------------------- the size of an answer
LONGEST = {
    "StackId": f"arn:aws-us-gov:cloudformation:us-gov-central-1:111111111111:stack/{'n' * 128}/{'g' * 64}",
    "LogicalResourceId": "L" * 255,
    "RequestId": "r" * 128,
}
FAR = dataclasses.replace(PLACE, region="us-gov-central-1", partition="aws-us-gov")
FAR_HOST = "cloudformation-custom-resource-response-usgovcentral1.s3.us-gov-central-1.amazonaws.com"


@pytest.mark.parametrize(("family", "cidr"), [(4, "255.255.255.0/24"), (6, f"{'ffff:' * 7}ff00/120")])
def test_the_longest_answer_fits(family: Any, cidr: str) -> None:
    """With the longest names there are and as many subnets as are allowed, an answer is below 4096 bytes."""
    request = parse(readdressed(event("create"), host=FAR_HOST, **LONGEST), FAR, at(9))
    block = Cidr.parse(cidr)
    longest = block.length + 8
    subnets = [longest - 1] * (MAX_SUBNETS[family] // 2) + [longest] * (MAX_SUBNETS[family] // 2)
    assert len(pack(block, subnets)) == MAX_SUBNETS[family]
    grant = Grant(allocation_id(1), ("a",), "ipam-pool-0123456789abcdef0", block, at(8), at(8), by_create=True)
    answer = _answer("allocated", grant, subnets)
    assert len(encode(request, answer)) < MAX_BODY


def test_the_longest_refusal_fits() -> None:
    """A Reason of characters of four bytes, and an id of a whole kilobyte, fit as well."""
    delete = event("delete", PhysicalResourceId="p" * MAX_PHYSICAL_ID)
    request = parse(readdressed(delete, host=FAR_HOST, **LONGEST), FAR, at(11))
    body = encode(request, Answer("refused", request.physical_resource_id, "\U0001f600" * MAX_REASON))
    assert len(body) < MAX_BODY


def test_an_answer_that_is_too_long_is_a_fault() -> None:
    """It is noticed here and not by CloudFormation, which would wait for another one."""
    request = parse(event("create"), PLACE, at(8))
    with pytest.raises(AssertionError):
        encode(request, Answer("allocated", "x", data={"Cidr": "x" * MAX_BODY}))


def test_a_failed_creates_id_is_stable_and_its_own() -> None:
    """The same resource gets the same id in every delivery, another resource another one, and none is an allocation."""
    one = parse(event("create"), PLACE, at(8))
    other = parse(event("create_other_account"), PLACE, at(8))
    assert unmade_id("not-allocated", one) == unmade_id("not-allocated", dataclasses.replace(one, request_id="r"))
    assert unmade_id("not-allocated", one) != unmade_id("not-allocated", other)


VALUES = st.one_of(st.text(max_size=8), st.lists(st.text(max_size=3), max_size=3), st.none(), st.integers())


@given(st.dictionaries(st.sampled_from([*GET_PROPERTIES, "Other"]), VALUES))
def test_no_properties_break_the_reading(values: dict[str, Any]) -> None:
    """Whatever the properties are, they are served or refused for good, with a Reason."""
    said = "served"
    try:
        order(values, REGION)
    except PermanentError as refusal:
        said = reason(refusal)
    assert 0 < len(said) <= MAX_REASON
