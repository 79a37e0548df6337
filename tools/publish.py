"""`make publish`: the products' templates into a bucket, and the portfolios that offer them into Service Catalog.

Run in the network account and the Region that cn-ipam serves, with ordinary AWS credentials; on the local twin after
`. .local/env`. A version is named after the content of its templates, so publishing the same content again changes
nothing. The version that was published before stays on offer beside the new one.

Everything is in the stack but one thing: CloudFormation shares a portfolio with accounts only
(`AWS::ServiceCatalog::PortfolioShare`), not with an organisation or its units. That is done here by the API, after the
stack. A share stays until `--unshare` ends it: whoever leaves one out by mistake takes nothing from anybody. Which
there are is said each time.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

if TYPE_CHECKING:
    from collections.abc import Mapping

PORTFOLIO: Final = Path(__file__).resolve().parent.parent / "products" / "portfolio.yaml"
STACK: Final = "cn-ipam-portfolio"
_PORTFOLIOS: Final = ("EveryonePortfolioId", "NetworkTeamPortfolioId")
"""The stack's outputs, as `Wish` has whom each is for."""

PREFIX: Final = "products"
VERSION_DIGITS: Final = 12

_LAUNCH_ROLE: Final = re.compile(r"^  LaunchRoleName:\n(?: {4}.*\n)*? {4}Default: (\S+)$", re.MULTILINE)
_TEMPLATE: Final = re.compile(r"^ +Template: ([a-z-]+\.yaml)$", re.MULTILINE)
_NODE: Final = re.compile(
    r"(?P<ORGANIZATION>o-[a-z0-9]+)|(?P<ORGANIZATIONAL_UNIT>ou-[a-z0-9-]+)|(?P<ACCOUNT>[0-9]{12})"
)
_REGION_WITHOUT_LOCATION: Final = "us-east-1"
_KINDS: Final = ("ORGANIZATION", "ORGANIZATIONAL_UNIT", "ORGANIZATION_MEMBER_ACCOUNT", "ACCOUNT")
_PAGES: Final = 50
"""Pages of shares that are read at most, a hundred shares each."""


class PublishError(Exception):
    """Nothing more was done; its text says why."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be published: the stack's parameters, whom each portfolio is for or no longer, the tags offered."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    everyone: tuple[str, ...] = ()
    network_team: tuple[str, ...] = ()
    not_everyone: tuple[str, ...] = ()
    not_network_team: tuple[str, ...] = ()
    cost_centres: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """What is on offer now; `shares` has whom for, by the name of the output that is the portfolio's id."""

    version: str
    bucket: str
    uploaded: tuple[str, ...]
    changed: bool
    outputs: Mapping[str, str]
    shares: Mapping[str, tuple[str, ...]]


def templates(portfolio: Path = PORTFOLIO) -> dict[str, bytes]:
    """Read the templates that a portfolio names, which are beside it."""
    names = sorted(set(_TEMPLATE.findall(portfolio.read_text())))
    return {name: (portfolio.parent / name).read_bytes() for name in names}


def version_of(contents: Mapping[str, bytes]) -> str:
    """Name a version after what is in it."""
    digest = hashlib.sha256()
    for name, content in sorted(contents.items()):
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:VERSION_DIGITS]


def publish(
    session: boto3.Session,
    wish: Wish | None = None,
    *,
    bucket: str | None = None,
    portfolio: Path = PORTFOLIO,
    seconds: float = 2.0,
) -> Published:
    """Validate, upload, deploy, share.

    Args:
        session: credentials and Region.
        wish: what is to be offered to whom.
        bucket: for the templates; made if it is not there. Without it, one of the account and Region.
        portfolio: the portfolios' template, with the products' beside it.
        seconds: between two looks at the stack.

    Raises:
        PublishError: a template is none, the launch role is missing, a stack failed, or a share names nobody.
    """
    wish = wish or Wish()
    contents = templates(portfolio)
    version = version_of(contents)
    wanted, ended = _nodes(wish.everyone, wish.network_team), _nodes(wish.not_everyone, wish.not_network_team)
    _validate(session, {**contents, portfolio.name: portfolio.read_bytes()})
    _find_launch_role(session, portfolio, wish)
    bucket = bucket or f"cn-ipam-products-{_account(session)}-{session.region_name}"
    uploaded = _upload(session, bucket, version, contents)
    outputs, changed = _deploy(session, portfolio, _parameters(wish, bucket, version), seconds)
    # The clients' own types describe literal arguments; these are put together at run time.
    catalog = cast("Any", session.client("servicecatalog"))
    for output in _PORTFOLIOS:
        _share(catalog, outputs[output], wanted[output], ended[output])
    shares = {output: _shares(catalog, outputs[output]) for output in _PORTFOLIOS}
    return Published(version, bucket, uploaded, changed, outputs, shares)


def _validate(session: boto3.Session, contents: Mapping[str, bytes]) -> None:
    """Let CloudFormation read the templates, before anything is done with them."""
    cloudformation = session.client("cloudformation")
    for name, content in contents.items():
        try:
            cloudformation.validate_template(TemplateBody=content.decode())
        except ClientError as error:
            raise PublishError(f"{name}: {error}") from error


def _find_launch_role(session: boto3.Session, portfolio: Path, wish: Wish) -> None:
    """See that the role is there which launch constraints name, before a stack fails for want of it.

    Raises:
        PublishError: it is not. Of what this caller may not look at nothing is said.
    """
    default = _LAUNCH_ROLE.search(portfolio.read_text())
    kept = (_deployed(session.client("cloudformation")) or {}).get("LaunchRoleName")
    name = wish.parameters.get("LaunchRoleName") or kept or (default and default[1])
    if name is None:
        return
    iam = session.client("iam")
    try:
        iam.get_role(RoleName=name)
    except iam.exceptions.NoSuchEntityException:
        raise PublishError(
            f"account {_account(session)} has no role {name}, which products are launched with: "
            "deploy products/member-account.yaml here, and in each account that is to order, then publish again"
        ) from None
    except ClientError:
        return


def _nodes(everyone: tuple[str, ...], network_team: tuple[str, ...]) -> dict[str, list[dict[str, str]]]:
    """Read whom each portfolio is meant for."""
    given = zip(_PORTFOLIOS, (everyone, network_team), strict=True)
    return {output: [_node(text) for text in texts] for output, texts in given}


def _share(catalog: Any, portfolio: str, wanted: list[dict[str, str]], ended: list[dict[str, str]]) -> None:
    """Share a portfolio, and end shares of it.

    Raises:
        PublishError: one is to be ended that there is not.
    """
    for node in wanted:
        catalog.create_portfolio_share(
            PortfolioId=portfolio, OrganizationNode=node, ShareTagOptions=True, SharePrincipals=False
        )
    for node in ended:
        try:
            catalog.delete_portfolio_share(PortfolioId=portfolio, OrganizationNode=node)
        except catalog.exceptions.ResourceNotFoundException:
            raise PublishError(f"portfolio {portfolio} is not shared with {node['Value']}") from None


def _shares(catalog: Any, portfolio: str) -> tuple[str, ...]:
    """Tell whom a portfolio is shared with."""
    found: list[str] = []
    for kind in _KINDS:
        page: dict[str, str] = {}
        for _ in range(_PAGES):
            answer = catalog.describe_portfolio_shares(PortfolioId=portfolio, Type=kind, PageSize=100, **page)
            found += [share["PrincipalId"] for share in answer["PortfolioShareDetails"]]
            if not answer.get("NextPageToken"):
                break
            page = {"PageToken": answer["NextPageToken"]}
    return tuple(found)


def _node(text: str) -> dict[str, str]:
    match = _NODE.fullmatch(text)
    if match is None or match.lastgroup is None:
        raise PublishError(f"{text} is neither an organisation (o-…), nor a unit (ou-…), nor an account of 12 digits")
    return {"Type": match.lastgroup, "Value": text}


def _account(session: boto3.Session) -> str:
    return str(session.client("sts").get_caller_identity()["Account"])


def _upload(session: boto3.Session, bucket: str, version: str, contents: Mapping[str, bytes]) -> tuple[str, ...]:
    """Put the templates that are not there yet; a version's content never changes."""
    s3 = cast("Any", session.client("s3"))
    where = {"LocationConstraint": session.region_name}
    arguments = {} if session.region_name == _REGION_WITHOUT_LOCATION else {"CreateBucketConfiguration": where}
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=bucket, **arguments)
    folder = f"{PREFIX}/{version}/"
    present = {item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=folder).get("Contents", [])}
    missing = [name for name in contents if folder + name not in present]
    for name in missing:
        s3.put_object(Bucket=bucket, Key=folder + name, Body=contents[name], ContentType="application/yaml")
    return tuple(missing)


def _parameters(wish: Wish, bucket: str, version: str) -> dict[str, str]:
    lists = {"CostCentres": wish.cost_centres, "Owners": wish.owners}
    return {
        **{name: ",".join(values) for name, values in lists.items() if values},
        **wish.parameters,
        "TemplateBucket": bucket,
        "TemplatePrefix": PREFIX,
        "Version": version,
    }


def _deploy(
    session: boto3.Session, portfolio: Path, parameters: dict[str, str], seconds: float
) -> tuple[dict[str, str], bool]:
    """Create or update the portfolios' stack: its outputs, and whether anything changed."""
    cloudformation = cast("Any", session.client("cloudformation"))
    before = _deployed(cloudformation)
    if before is None:
        parameters = {"Regions": session.region_name, **parameters}
    else:
        published = before["Version"]
        if published != parameters["Version"]:
            parameters = {"PreviousVersion": published, **parameters}
    kept = [name for name in before or {} if name not in parameters]
    body = portfolio.read_text()
    request = {
        "StackName": STACK,
        "TemplateBody": body,
        # For Fn::ForEach, which is a macro of CloudFormation's own.
        "Capabilities": ["CAPABILITY_AUTO_EXPAND"],
        "Parameters": [
            *({"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()),
            *({"ParameterKey": name, "UsePreviousValue": True} for name in kept),
        ],
    }
    if before is not None and before == before | parameters and body == _template(cloudformation):
        # A template with a macro is an update to CloudFormation, whether anything is different or not.
        return _outputs(cloudformation), False
    call, state = (
        (cloudformation.create_stack, "stack_create_complete")
        if before is None
        else (cloudformation.update_stack, "stack_update_complete")
    )
    changed = True
    try:
        call(**request)
        pause = {"Delay": seconds, "MaxAttempts": max(1, int(600 / seconds))}
        cloudformation.get_waiter(state).wait(StackName=STACK, WaiterConfig=pause)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise PublishError(f"stack {STACK}: {error}") from error
        changed = False
    except WaiterError as error:
        raise PublishError(f"stack {STACK}: {_failures(cloudformation)}") from error
    return _outputs(cloudformation), changed


def _outputs(cloudformation: Any) -> dict[str, str]:
    (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _template(cloudformation: Any) -> str:
    """Give the template that the stack has, as it was given."""
    return str(cloudformation.get_template(StackName=STACK, TemplateStage="Original")["TemplateBody"])


def _deployed(cloudformation: Any) -> dict[str, str] | None:
    """Give the parameters that the stack has, if it is there."""
    try:
        (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return None
    if stack["StackStatus"] in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}:
        raise PublishError(
            f"stack {STACK} could not be created before: "
            f"`aws cloudformation delete-stack --stack-name {STACK}`, then publish again"
        )
    return {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])}


def _failures(cloudformation: Any) -> str:
    events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
    failed = (
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
        for event in reversed(events)
        if event["ResourceStatus"].endswith("_FAILED")
    )
    return "; ".join(failed) or "it did not come to rest"


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="publish", description="Publish the products' templates and the portfolios.")
    node = "an organisation (o-…), a unit (ou-…) or an account; may be repeated"
    parser.add_argument("--bucket", help="for the templates; made if it is not there")
    parser.add_argument("--share", action="append", default=[], metavar="NODE", help=f"the portfolio for all: {node}")
    parser.add_argument(
        "--share-large", action="append", default=[], metavar="NODE", help=f"the network team's portfolio: {node}"
    )
    parser.add_argument(
        "--unshare", action="append", default=[], metavar="NODE", help="ends a share of the portfolio for all"
    )
    parser.add_argument(
        "--unshare-large", action="append", default=[], metavar="NODE", help="ends a share of the network team's"
    )
    parser.add_argument("--cost-centre", action="append", default=[], help="all that may pay; to be repeated")
    parser.add_argument("--owner", action="append", default=[], help="all that may own; to be repeated")
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="another parameter of portfolio.yaml"
    )
    parsed = parser.parse_args(words)
    if any("=" not in text for text in parsed.parameter):
        parser.error("--parameter takes NAME=VALUE")
    return parsed


def main(words: list[str]) -> int:
    """Publish; 0 if everything is on offer."""
    given = _arguments(words)
    parameters = dict(text.split("=", 1) for text in given.parameter)
    wish = Wish(
        parameters,
        tuple(given.share),
        tuple(given.share_large),
        tuple(given.unshare),
        tuple(given.unshare_large),
        tuple(given.cost_centre),
        tuple(given.owner),
    )
    try:
        done = publish(boto3.Session(), wish, bucket=given.bucket)
    except (PublishError, ClientError, BotoCoreError) as error:
        print(f"publish: {error}", file=sys.stderr)
        return 1
    print(f"version {done.version} in {done.bucket}, {len(done.uploaded)} templates uploaded")
    print(f"stack {STACK} {'deployed' if done.changed else 'is as it was'}")
    for name, value in done.outputs.items():
        shared = f", shared with {', '.join(done.shares[name]) or 'nobody'}" if name in done.shares else ""
        print(f"{name} {value}{shared}")
    print("an account can order once it has products/member-account.yaml, and lets roles in (products/README.md)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
