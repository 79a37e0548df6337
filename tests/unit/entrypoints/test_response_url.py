from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipam.domain.owner import SKEW
from ipam.entrypoints.errors import NotGenuineError
from ipam.entrypoints.events import parse
from ipam.entrypoints.response_url import Place, ResponseUrl, genuine
from ipam.services.attempts import attempts
from tests.faults import Recorder
from tests.unit.entrypoints.stage import HOST, PLACE, SETTINGS, Stage, at, event, readdressed

BUCKET = "cloudformation-custom-resource-response-eucentral1"
CREATE = event("create")
KEY = "|".join(CREATE[name] for name in ("StackId", "LogicalResourceId", "RequestId"))
ENCODED = quote(KEY, safe="/")
QUERY = CREATE["ResponseURL"].partition("?")[2]
NOW = at(8, 0, 1)


def url(host: str = HOST, key: str = ENCODED, query: str = QUERY, scheme: str = "https") -> str:
    return f"{scheme}://{host}/{key}?{query}"


FORGED = {
    "plain http": url(scheme="http"),
    "upper-case scheme": url(scheme="HTTPS"),
    "other scheme": url(scheme="file"),
    "no scheme": url()[6:],
    "empty": "",
    "somebody's host": url(host="example.com"),
    "host with a suffix": url(host=f"{HOST}.example.com"),
    "host as a prefix": url(host=f"example.com.{HOST}"),
    "host as user info": url(host=f"{HOST}@example.com"),
    "user info": url(host=f"user@{HOST}"),
    "user info and password": url(host=f"user:password@{HOST}"),
    "port": url(host=f"{HOST}:8443"),
    "default port": url(host=f"{HOST}:443"),
    "empty port": url(host=f"{HOST}:"),
    "trailing dot": url(host=f"{HOST}."),
    "upper-case host": url(host=HOST.upper()),
    "other Region's host": url(host=HOST.replace("eucentral1", "euwest1").replace("eu-central-1", "eu-west-1")),
    "other Region's bucket": url(host=HOST.replace("eucentral1", "euwest1")),
    "other bucket": url(host=HOST.replace("response", "request")),
    "bucket in the path": url(host="s3.eu-central-1.amazonaws.com", key=f"{BUCKET}/{ENCODED}"),
    "China's suffix": url(host=f"{BUCKET}.s3.eu-central-1.amazonaws.com.cn"),
    "lookalike suffix": url(host=f"{BUCKET}.s3.eu-central-1.amazonaws.co"),
    "website endpoint": url(host=f"{BUCKET}.s3-website.eu-central-1.amazonaws.com"),
    "dual stack": url(host=f"{BUCKET}.s3.dualstack.eu-central-1.amazonaws.com"),
    "accelerated": url(host=f"{BUCKET}.s3-accelerate.amazonaws.com"),
    "address": url(host="169.254.169.254"),
    "address in brackets": url(host="[::1]"),
    "percent in the host": url(host=HOST.replace("-", "%2D", 1)),
    "full-width host": url(host=HOST.replace("s3", "s\uff13")),
    "backslash": url(host=f"example.com\\@{HOST}"),
    "backslash as slash": url().replace(".com/", ".com\\"),
    "fragment": url() + "#x",
    "fragment before the host": f"https://example.com#@{HOST}/{ENCODED}?{QUERY}",
    "newline at the end": url() + "\n",
    "newline in the host": url(host=HOST.replace(".s3", "\n.s3")),
    "tab in the path": url(key=ENCODED.replace("network", "net\twork")),
    "space before": " " + url(),
    "header injection": url(query=QUERY + " HTTP/1.1\r\nHost: example.com"),
    "encoded twice": url(key=quote(ENCODED, safe="/")),
    "parent folder": url(key=f"x/../{ENCODED}"),
    "encoded parent folder": url(key=f"x/%2e%2e/{ENCODED}"),
    "slash before the key": url(key=f"/{ENCODED}"),
    "slash after the key": url(key=f"{ENCODED}/"),
    "key of another request": url(key=ENCODED[:-1] + ("0" if ENCODED[-1] != "0" else "1")),
    "key of another resource": url(key=ENCODED.replace("GetCnCIDR", "GetOther")),
    "key of another stack": url(key=ENCODED.replace("network", "other")),
    "key in another case": url(key=ENCODED.upper()),
    "key cut short": url(key=ENCODED.rpartition("%7C")[0]),
    "no key": f"https://{HOST}/?{QUERY}",
    "no path": f"https://{HOST}",
    "not UTF-8": url(key=ENCODED + "%FF"),
    "null byte": url(key=ENCODED + "%00"),
    "lone percent": url(key=ENCODED + "%"),
    "semicolon": url(key=f"{ENCODED};x"),
    "beyond ASCII": url(key=ENCODED.replace("network", "n\u0435twork")),
    "two signing times": url(query=f"{QUERY}&X-Amz-Date=20261120T070000Z"),
    "both kinds of signing time": url(query=f"{QUERY}&Expires=1795000000"),
    "signed in the future": url(query="X-Amz-Date=20261120T081600Z"),
    "a date that is none": url(query="X-Amz-Date=20261320T080000Z"),
    "a date in another form": url(query="X-Amz-Date=2026-11-20"),
    "an end that is no number": url(query="Expires=soon"),
    "endless": url(query="x=" + "1" * 9000),
}


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED.keys())
def test_a_forged_address_is_refused(text: str) -> None:
    """Whatever is not exactly CloudFormation's own address for this request is none."""
    with pytest.raises(NotGenuineError):
        genuine(text, KEY, PLACE, NOW)


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED.keys())
def test_a_forged_address_is_neither_connected_to_nor_served(stage: Stage, text: str) -> None:
    """The function ends without an answer or a retry, writes nothing but that, and says so in its log.

    Neither the log nor the record has the address.
    """
    stage.clock.milliseconds = NOW
    watched = Recorder(stage.desk.store)
    stage.restart(watched)
    stage.provider.handle(event("create", ResponseURL=text), stage.context)
    assert stage.outcome == "forged"
    assert stage.mailbox.hosts == []
    assert watched.calls == ["count_attempt", "keep_attempt"]
    ((record,),) = attempts(stage.desk.ports, 1, None)
    for secret in ("example.com", "X-Amz"):
        assert secret not in stage.text() + repr(record)


@pytest.mark.parametrize(
    "host", [f"{BUCKET}.s3.eu-central-1", f"{BUCKET}.s3-eu-central-1", f"{BUCKET}.s3"], ids=["dot", "dash", "global"]
)
def test_cloudformations_hosts_are_genuine(host: str) -> None:
    """S3's three ways to write a host are all CloudFormation's."""
    found = genuine(url(host=f"{host}.amazonaws.com"), KEY, PLACE, NOW)
    assert (found.host, found.port) == (f"{host}.amazonaws.com", 443)
    assert found.target == f"/{ENCODED}?{QUERY}"


def test_china_has_a_suffix_of_its_own() -> None:
    """In aws-cn only .amazonaws.com.cn is genuine."""
    place = Place("cn-north-1", "aws-cn", "")
    key = KEY.replace("arn:aws:", "arn:aws-cn:").replace("eu-central-1", "cn-north-1")
    bucket = "cloudformation-custom-resource-response-cnnorth1.s3.cn-north-1.amazonaws.com"
    assert genuine(url(f"{bucket}.cn", quote(key)), key, place, NOW).host == f"{bucket}.cn"
    with pytest.raises(NotGenuineError):
        genuine(url(bucket, quote(key)), key, place, NOW)


@pytest.mark.parametrize("encoded", [ENCODED, quote(KEY, safe=""), KEY, quote(KEY, safe="/").replace("%7C", "%7c")])
def test_the_key_may_be_encoded_in_any_way_once(encoded: str) -> None:
    """What decodes to the key in one step is the key."""
    assert genuine(url(key=encoded), KEY, PLACE, NOW).target.startswith(f"/{encoded}")


@pytest.mark.parametrize(
    ("query", "signed"),
    [
        (QUERY, at(8)),
        ("X-Amz-Date=20261120T080000Z", at(8)),
        (f"AWSAccessKeyId=EXAMPLE&Expires={at(10) // 1000}&Signature=abc%3D", at(8)),
        ("", None),
        ("x-id=PutObject", None),
    ],
)
def test_the_signing_time_is_read_from_either_form(query: str, signed: int | None) -> None:
    """SigV4 says when it was signed, SigV2 when it ends two hours later, and some may say nothing."""
    assert genuine(url(query=query), KEY, PLACE, NOW).signed == signed


@pytest.mark.parametrize("endpoint", ["https://localhost:4566", "https://localhost:4566/some-bucket"])
def test_a_response_endpoint_replaces_cloudformations_hosts(endpoint: str) -> None:
    """With the parameter of a local twin set, exactly its prefix is genuine, and AWS's own hosts are not."""
    place = Place("eu-central-1", "aws", endpoint)
    found = genuine(f"{endpoint}/{ENCODED}?{QUERY}", KEY, place, NOW)
    assert (found.host, found.port) == ("localhost", 4566)
    assert found.target == f"{endpoint.removeprefix('https://localhost:4566')}/{ENCODED}?{QUERY}"
    for other in (url(), f"{endpoint}0/{ENCODED}", f"{endpoint}/x/{ENCODED}", f"{endpoint}//{ENCODED}"):
        with pytest.raises(NotGenuineError):
            genuine(other, KEY, place, NOW)


def test_an_address_shows_no_secret() -> None:
    """The text of an address for logs and tracebacks has neither path nor query."""
    found = genuine(url(), KEY, PLACE, NOW)
    assert "Signature" not in repr(found)
    assert "0" * 64 in found.secrets()
    assert QUERY in found.secrets()


def test_secrets_are_known_in_both_spellings() -> None:
    """A credential is masked as it stands in the URL, and as a library would decode it."""
    secrets = ResponseUrl("h", 443, "/k?AWSAccessKeyId=AKIA%2FX&Signature=a%2Bb", None).secrets()
    assert {"AKIA%2FX", "AKIA/X", "a%2Bb", "a+b"} <= set(secrets)


@given(st.text(alphabet=st.sampled_from("https:/.@#?\\%|amznw3-\n \u0435[]"), max_size=60))
def test_nothing_random_is_genuine(text: str) -> None:
    """No other text gets through, and none breaks the check."""
    with pytest.raises(NotGenuineError):
        genuine(text, KEY, PLACE, NOW)


@given(st.data())
def test_one_changed_character_is_enough(data: st.DataObject) -> None:
    """Changing one character of scheme, host or key makes an address not genuine, unless it means the same."""
    text = url()
    place = data.draw(st.integers(0, text.index("?") - 1))
    character = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    changed = text[:place] + character + text[place + 1 :]
    if changed.lower() == text.lower() or "?" in changed[: text.index("?")]:
        return
    with pytest.raises(NotGenuineError):
        genuine(changed, KEY, PLACE, NOW)


EVENTS: dict[str, Any] = {
    "a list": [],
    "a text": "Create",
    "nothing": None,
    "an empty map": {},
    "a console test": {"key1": "value1"},
    "two records": {"Records": [{}, {}]},
    "no records": {"Records": []},
    "records of a queue": {"Records": [{"body": "{}"}]},
    "records of text": {"Records": "x"},
    "a message that is no JSON": {"Records": [{"Sns": {"Message": "{"}}]},
    "a message without a bottom": {"Records": [{"Sns": {"Message": "[" * 100_000}}]},
    "a message that is no request": {"Records": [{"Sns": {"Message": "[1]"}}]},
    "a message in a message": {"Records": [{"Sns": {"Message": '{"Records":[{"Sns":{"Message":"{}"}}]}'}}]},
    "another request type": CREATE | {"RequestType": "create"},
    "a request type that is a list": CREATE | {"RequestType": ["Create"]},
    "no properties": {name: value for name, value in CREATE.items() if name != "ResourceProperties"},
    "properties that are a list": CREATE | {"ResourceProperties": []},
    "an Update without the old properties": event("update_in_place") | {"OldResourceProperties": None},
    "an Update without an id": event("update_in_place") | {"PhysicalResourceId": ""},
    "an id of several lines": event("delete") | {"PhysicalResourceId": "a\nb"},
    "an id that is too long": event("delete") | {"PhysicalResourceId": "\u00e4" * 513},
    "a number as an id": event("delete") | {"PhysicalResourceId": 7},
    "a type with a newline": CREATE | {"ResourceType": "Custom::GetCnCIDR\n"},
    "a native type": CREATE | {"ResourceType": "AWS::EC2::VPC"},
    "a stack in another Region": readdressed(CREATE, StackId=CREATE["StackId"].replace("eu-central-1", "eu-west-1")),
    "a stack in another partition": readdressed(CREATE, StackId=CREATE["StackId"].replace("arn:aws:", "arn:aws-cn:")),
    "a stack that is none": readdressed(CREATE, StackId="arn:aws:s3:eu-central-1:111111111111:stack/network/x"),
    "an account of eleven digits": readdressed(CREATE, StackId=CREATE["StackId"].replace("1" * 12, "1" * 11)),
    "an account in other digits": readdressed(CREATE, StackId=CREATE["StackId"].replace("1" * 12, "\u0661" * 12)),
    "a logical id with a bar": readdressed(CREATE, LogicalResourceId="Get|CnCIDR"),
    "an empty logical id": readdressed(CREATE, LogicalResourceId=""),
    "an empty request id": readdressed(CREATE, RequestId=""),
}


@pytest.mark.parametrize("forged", EVENTS.values(), ids=EVENTS.keys())
def test_an_event_that_cloudformation_cannot_have_sent_is_forged(stage: Stage, forged: Any) -> None:
    """Whatever the shape, nothing happens, nothing is raised, and one line says so."""
    stage.clock.milliseconds = at(12)
    stage.provider.handle(forged, stage.context)
    assert stage.outcome == "forged"
    assert stage.mailbox.hosts == []
    assert stage.held() == []
    (line,) = stage.lines()
    assert "future" not in line["reason"]


def test_a_request_is_as_old_in_every_delivery() -> None:
    """Also where CloudFormation's clock is some seconds ahead; one that is far ahead says nothing of the time."""
    signed = at(8)
    for received in (signed - SKEW, signed - 1, signed, signed + 60_000):
        assert parse(event("create"), PLACE, received).requested == signed
    assert parse(event("create"), PLACE, signed - 60_000).requested == signed - 60_000


def test_a_genuine_event_is_read(stage: Stage) -> None:
    """Every field arrives typed, and the stack's ARN tells account and Region."""
    request = parse(event("update_replacement"), PLACE, at(9))
    assert (request.request_type, request.account, request.region) == ("Update", "111111111111", SETTINGS.region)
    assert (request.requested, request.received) == (at(9), at(9))
    assert request.old_properties["CnCidrMask"] == "24"
    assert "CnCidrMask" not in repr(request)
    assert stage.lines() == []
