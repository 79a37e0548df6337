from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam.domain.cidr import Cidr
from ipam.domain.errors import PermanentError, SubnetsDoNotFitError
from ipam.domain.owner import digest
from ipam.domain.plan import Ask
from ipam.entrypoints.cn_cidr import dates
from ipam.entrypoints.cn_cidr.order import GET_PROPERTIES, order
from ipam.entrypoints.cn_cidr.properties import announcement, claim
from ipam.entrypoints.errors import InvalidPropertyError, UnknownPropertyError
from ipam.entrypoints.properties import shown
from ipam.entrypoints.reasons import MAX_REASON, reason
from tests.unit.entrypoints.stage import allocation_id, at

REGION = "eu-central-1"
RETURN = {
    "Authorizationkey": "k" * 64,
    "IpamPoolAllocationId": allocation_id(1),
    "Cidr": "10.0.0.0/24",
    "CreationDate": "2026-11-20T08:00:00.000Z",
}

TOKEN = f"{allocation_id(1)}@ipam-pool-0123456789abcdef0@10.0.0.0/24"

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
    ({"SubnetMasks": ["32"] * 49, "CnCidrMask": "24"}, "SubnetMasks"),
    ({"Pools": []}, "Pools"),
    ({"Pools": "vpcs"}, "Pools"),
    ({"Pools": ["vpcs", ""]}, "Pools"),
    ({"Pools": ["vpcs", 7]}, "Pools"),
    ({"Pools": ["vpcs", "more", "vpcs"]}, "Pools"),
    ({"Pools": [f"pool {number}" for number in range(21)]}, "Pools"),
    ({"Pools": ["vpcs"], "PoolName": "vpcs"}, "Pools"),
    ({"Pools": ["vpcs"], "IpamPoolId": "ipam-pool-0123456789abcdef0"}, "Pools"),
    ({"PoolTags": {}}, "PoolTags"),
    ({"PoolTags": []}, "PoolTags"),
    ({"PoolTags": "stage=prod"}, "PoolTags"),
    ({"PoolTags": {"stage": ["prod"]}}, "PoolTags"),
    ({"PoolTags": {"": "prod"}}, "PoolTags"),
    ({"PoolTags": [{"Key": "stage"}]}, "PoolTags"),
    ({"Tags": {"team": "a"}}, "Tags"),
    ({"Tags": [{"Key": "team", "Value": "a"}, {"Key": "team", "Value": "b"}]}, "Tags"),
    ({"Tags": [{"Key": "team", "Value": "a", "Propagate": "true"}]}, "Tags"),
    ({"Tags": [{"Key": "", "Value": "a"}]}, "Tags"),
    ({"Tags": [{"Key": "k" * 129, "Value": "a"}]}, "Tags"),
    ({"Tags": [{"Key": "team", "Value": "v" * 257}]}, "Tags"),
    ({"Tags": [{"Key": "team", "Value": "a\nb"}]}, "Tags"),
    ({"Tags": [{"Key": f"k{number}", "Value": ""} for number in range(51)]}, "Tags"),
    ({"AllowedCidrs": "10.0.0.0/8"}, "AllowedCidrs"),
    ({"AllowedCidrs": []}, "AllowedCidrs"),
    ({"AllowedCidrs": ["10.0.0.1/8"]}, "AllowedCidrs"),
    ({"AllowedCidrs": [8]}, "AllowedCidrs"),
    ({"AllowedCidrs": ["fd00::/8"]}, "AllowedCidrs"),
    ({"DisallowedCidrs": ["10.0.0.0/8"], "AddressFamily": "ipv6"}, "DisallowedCidrs"),
    ({"DisallowedCidrs": [f"10.{number}.0.0/16" for number in range(51)]}, "DisallowedCidrs"),
    ({"Cidr": "10.0.0.0/24", "AllowedCidrs": ["10.1.0.0/16"]}, "Cidr"),
    ({"Cidr": "10.0.0.0/24", "DisallowedCidrs": ["10.0.0.64/26"]}, "Cidr"),
    ({"CnCidrMask": "16", "AllowedCidrs": ["10.0.0.0/17", "10.0.128.0/17"]}, "AllowedCidrs"),
    ({"CnCidrMask": "24", "AllowedCidrs": ["10.0.0.0/24"], "DisallowedCidrs": ["10.0.0.1/32"]}, "AllowedCidrs"),
    ({"CnCidrMask": "16", "DisallowedCidrs": ["0.0.0.0/0"]}, "DisallowedCidrs"),
    ({"Preview": "yes"}, "Preview"),
    ({"Preview": True}, "Preview"),
    ({"PreviewSeconds": "3600"}, "PreviewSeconds"),
    ({"PreviewSeconds": "3600", "Preview": "false"}, "PreviewSeconds"),
    ({"PreviewSeconds": "59", "Preview": "true"}, "PreviewSeconds"),
    ({"PreviewSeconds": "86401", "Preview": "true"}, "PreviewSeconds"),
    ({"PreviewToken": TOKEN, "Preview": "true"}, "Preview"),
    ({"Replaceable": "no"}, "Replaceable"),
    ({"Replaceable": False}, "Replaceable"),
    ({"PreviewToken": TOKEN, "CnCidrMask": "25"}, "CnCidrMask"),
    ({"PreviewToken": TOKEN, "Cidr": "10.0.1.0/24"}, "Cidr"),
    ({"PreviewToken": TOKEN, "AddressFamily": "ipv6"}, "AddressFamily"),
    ({"PreviewToken": TOKEN, "DisallowedCidrs": ["10.0.0.0/8"]}, "PreviewToken"),
    ({"PreviewToken": ""}, "PreviewToken"),
    ({"PreviewToken": 7}, "PreviewToken"),
    ({"PreviewToken": f"{TOKEN} "}, "PreviewToken"),
    ({"PreviewToken": TOKEN.replace("ipam-pool-0", "pool-0")}, "PreviewToken"),
    ({"PreviewToken": TOKEN.replace("10.0.0.0", "10.0.0.1")}, "PreviewToken"),
    ({"PreviewToken": TOKEN.replace("@", "#")}, "PreviewToken"),
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


@pytest.mark.parametrize(
    "values",
    [
        {"SubnetMasks": ["23"], "CnCidrMask": "24"},
        {"SubnetMasks": ["25", "25", "32"], "CnCidrMask": "24"},
        {"PreviewToken": TOKEN, "SubnetMasks": ["23"]},
    ],
)
def test_subnets_that_do_not_fit_are_refused_before_anything_is_allocated(values: dict[str, Any]) -> None:
    """With the block, the subnets as they are counted, and the block that would do."""
    with pytest.raises(SubnetsDoNotFitError) as refused:
        order(values, REGION)
    assert "Ask for a /23 or larger (CnCidrMask)" in reason(refused.value)


@pytest.mark.parametrize(
    ("values", "such"),
    [
        ({"PreviewSeconds": "10", "Preview": "true"}, "60"),
        ({"PreviewSeconds": "1.5", "Preview": "true"}, "60"),
        ({"CnCidrMask": "33"}, "24"),
    ],
)
def test_a_number_that_is_refused_is_told_one_that_is_not(values: dict[str, Any], such: str) -> None:
    """Within the bounds of this very property."""
    with pytest.raises(InvalidPropertyError) as refused:
        order(values, REGION)
    assert refused.value.remedy == f'Write decimal digits only, such as "{such}"'


def test_a_description_may_have_lines() -> None:
    """Free text is stored as it is, line breaks and all, up to 255 characters."""
    text = "first\nsecond\tthird\r\n" + "\u00e4" * 235
    assert order({"Description": text}, REGION).description == text


def test_pools_are_named_in_an_order() -> None:
    """By id or by name, and they stay in the order in which they are written."""
    ask = order({"Pools": ["z", "ipam-pool-0123456789abcdef0", "a"]}, REGION).ask
    assert ask.named == ("z", "ipam-pool-0123456789abcdef0", "a")


def test_tags_are_a_list_and_those_of_pools_a_map_too() -> None:
    """Whichever way they are written, and in whatever order, they are the same tags; a value may be empty."""
    listed = [{"Key": "stage", "Value": "prod"}, {"Key": "for", "Value": ""}]
    asked = order({"PoolTags": listed, "Tags": listed[::-1]}, REGION)
    assert asked.ask.pool_tags == asked.tags == (("for", ""), ("stage", "prod"))
    assert order({"PoolTags": {"stage": "prod", "for": ""}}, REGION).ask == asked.ask


def test_tags_are_no_part_of_what_is_asked_for() -> None:
    """Another tag, description or time to be held is the same ask (I4); other pools or limits are another one."""
    values: dict[str, Any] = {"CnCidrMask": "24", "Preview": "true"}
    same: list[dict[str, Any]] = [
        {"Tags": [{"Key": "team", "Value": "a"}]},
        {"Description": "x"},
        {"PreviewSeconds": "60"},
        {"Replaceable": "false"},
    ]
    asks = {digest(order(values | more, REGION).ask) for more in [{}, *same]}
    assert len(asks) == 1
    others: list[dict[str, Any]] = [
        {"Pools": ["a"]},
        {"PoolTags": {"a": "b"}},
        {"AllowedCidrs": ["10.0.0.0/8"]},
        {"Preview": "false"},
    ]
    assert len({digest(order(values | more, REGION).ask) for more in others} | asks) == 5


def test_lists_of_cidrs_have_no_order() -> None:
    """The same blocks in another order, or one of them twice, ask for the same."""
    one = order({"AllowedCidrs": ["10.1.0.0/16", "10.0.0.0/16"], "DisallowedCidrs": ["10.0.0.0/24"]}, REGION).ask
    other = order(
        {"AllowedCidrs": ["10.0.0.0/16", "10.1.0.0/16", "10.0.0.0/16"], "DisallowedCidrs": ["10.0.0.0/24"]}, REGION
    ).ask
    assert one == other
    assert one.allowed_cidrs == (Cidr.parse("10.0.0.0/16"), Cidr.parse("10.1.0.0/16"))


def test_a_preview_is_held_for_an_hour_unless_it_is_said() -> None:
    """PreviewSeconds is 60 to 86400, and nothing without Preview."""
    assert order({"Preview": "true"}, REGION).preview_seconds == 3600
    assert order({"Preview": "true", "PreviewSeconds": "60"}, REGION).preview_seconds == 60
    assert order({"Preview": "true", "PreviewSeconds": "86400"}, REGION).preview_seconds == 86400
    assert order({"Preview": "false"}, REGION) == order({}, REGION)


def test_a_block_can_be_replaced_unless_it_is_said() -> None:
    """Replaceable is true where it is left out."""
    assert [order(said, REGION).replaceable for said in ({}, {"Replaceable": "true"}, {"Replaceable": "false"})] == [
        True,
        True,
        False,
    ]


def test_a_token_says_the_block() -> None:
    """Cidr, CnCidrMask and the pool may be said beside it, and subnets need none of them; it is the same ask."""
    alone = order({"PreviewToken": TOKEN, "SubnetMasks": ["25", "25"]}, REGION)
    assert (alone.ask.preview_token, alone.ask.family, alone.subnets) == (TOKEN, 4, (25, 25))
    said = {"PreviewToken": TOKEN, "Cidr": "10.0.0.0/24", "CnCidrMask": "24", "PoolName": "vpcs"}
    assert digest(order(said, REGION).ask) == digest(alone.ask)
    six = TOKEN.replace("10.0.0.0/24", "fd00::/56")
    assert order({"PreviewToken": six}, REGION).ask.family == 6


@pytest.mark.parametrize("token", [TOKEN, f"{TOKEN}x"])
def test_a_token_is_never_repeated(token: str) -> None:
    """It is a right to its block: no message about it has any of it."""
    with pytest.raises(InvalidPropertyError) as refused:
        order({"PreviewToken": token, "Preview": "true"}, REGION)
    assert allocation_id(1)[-8:] not in reason(refused.value)


def test_what_is_left_out_has_a_default() -> None:
    """Nothing but a pool's default is needed: a VPC's IPv4 block in the stack's Region."""
    asked = order({"ServiceToken": "x", "ServiceTimeout": "300"}, REGION)
    assert asked.ask == Ask(None, None, REGION, "vpc", 4, None, None)
    assert (asked.description, asked.subnets, asked.tags, asked.preview_seconds) == ("", (), (), 0)


@pytest.mark.parametrize("kind", ["vpc", "subnet", "custom"])
def test_what_it_is_for_is_the_pools_to_judge(kind: str) -> None:
    """A VPC, a subnet, or what lives outside AWS: each can be asked for, and a pool's AllocationTypes decide."""
    assert order({"AllocationType": kind}, REGION).ask.allocation_type == kind


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
