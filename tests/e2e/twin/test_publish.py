"""Publishing to the twin's Service Catalog, as `make publish` does: templates of the test's own, and the real ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.settings import REGION
from local.stacks import Stack
from tools.publish import PORTFOLIO, Published, PublishError, Wish, publish, templates, version_of
from tools.publish import main as command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.twin import Twin

PUBLISHER = "666666666666"
ORGANIZATION = "o-exampleorg1"
SMALL = """
Mappings:
  Things:
    Thing:
      Template: thing.yaml
Parameters:
  TemplateBucket: { Type: String }
  TemplatePrefix: { Type: String }
  Version: { Type: String }
  PreviousVersion: { Type: String, Default: "" }
  CostCentres: { Type: CommaDelimitedList, Default: none }
  Regions: { Type: CommaDelimitedList }
Conditions:
  HasPrevious: !Not [!Equals [!Ref PreviousVersion, ""]]
Resources:
  Everyone: { Type: AWS::ServiceCatalog::Portfolio, Properties: { DisplayName: all, ProviderName: team } }
  Team: { Type: AWS::ServiceCatalog::Portfolio, Properties: { DisplayName: team, ProviderName: team } }
  Thing:
    Type: AWS::ServiceCatalog::CloudFormationProduct
    Properties:
      Name: thing
      Owner: team
      ProvisioningArtifactParameters:
        - Name: !Ref Version
          Info:
            LoadTemplateFromURL: !Sub https://${TemplateBucket}.s3.${AWS::Region}.${AWS::URLSuffix}/${TemplatePrefix}/${Version}/thing.yaml
        - !If
          - HasPrevious
          - Name: !Ref PreviousVersion
            Info:
              LoadTemplateFromURL: !Sub https://${TemplateBucket}.s3.${AWS::Region}.${AWS::URLSuffix}/${TemplatePrefix}/${PreviousVersion}/thing.yaml
          - !Ref AWS::NoValue
  ThingForEveryone:
    Type: AWS::ServiceCatalog::PortfolioProductAssociation
    Properties: { PortfolioId: !Ref Everyone, ProductId: !Ref Thing }
Outputs:
  EveryonePortfolioId: { Value: !Ref Everyone }
  NetworkTeamPortfolioId: { Value: !Ref Team }
  Versions: { Value: !GetAtt Thing.ProvisioningArtifactNames }
  Ids: { Value: !GetAtt Thing.ProvisioningArtifactIds }
  Regions: { Value: !Join [",", !Ref Regions] }
"""
THING = "Resources: { Nothing: { Type: AWS::CloudFormation::WaitConditionHandle } }\n"


class Publisher:
    """An account that publishes templates of a folder."""

    def __init__(self, twin: Twin, folder: Path, account: str) -> None:
        self.session = twin.session(account)
        self.portfolio = folder / "portfolio.yaml"
        self.portfolio.write_text(SMALL)
        self.write(THING)

    def write(self, text: str) -> None:
        """Change the product's template."""
        self.portfolio.with_name("thing.yaml").write_text(text)

    def publish(self, **wish: Any) -> Published:
        """Publish what is there."""
        return publish(self.session, Wish(**wish), portfolio=self.portfolio, seconds=0.05)


@pytest.fixture(scope="module")
def publisher(twin: Twin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    publisher = Publisher(twin, tmp_path_factory.mktemp("products"), "555555555555")
    yield publisher
    cloudformation = publisher.session.client("cloudformation")
    cloudformation.delete_stack(StackName="cn-ipam-portfolio")


@pytest.fixture(scope="module")
def launch_role(twin: Twin) -> None:
    """What member-account.yaml brings into the publishing account, as into every other."""
    twin.session(PUBLISHER).client("iam").create_role(RoleName="cn-ipam-launch", AssumeRolePolicyDocument="{}")


def test_same_content_is_the_same_version(publisher: Publisher) -> None:
    """Publishing again uploads nothing and changes nothing."""
    first = publisher.publish()
    assert first.changed and first.uploaded == ("thing.yaml",) and first.version == first.outputs["Versions"]
    again = publisher.publish()
    assert not again.changed and again.uploaded == () and again.outputs == first.outputs


def test_products_are_for_the_region_they_are_published_in(publisher: Publisher) -> None:
    """Unless others are named, once: then those stay."""
    assert publisher.publish().outputs["Regions"] == REGION
    assert publisher.publish(parameters={"Regions": "eu-west-1"}).outputs["Regions"] == "eu-west-1"
    assert publisher.publish().outputs["Regions"] == "eu-west-1"


def test_new_content_is_offered_beside_the_old(publisher: Publisher) -> None:
    """The version before stays what it is, identifier and all; the one before that goes."""
    first = publisher.publish()
    publisher.write(THING + "Description: second\n")
    second = publisher.publish()
    assert second.outputs["Versions"].split(",") == [first.version, second.version]
    assert second.outputs["Ids"].split(",")[0] == first.outputs["Ids"].split(",")[0]
    assert not publisher.publish().changed
    publisher.write(THING + "Description: third\n")
    third = publisher.publish()
    assert set(third.outputs["Versions"].split(",")) == {second.version, third.version}


def test_without_the_launch_role_nothing_is_begun(twin: Twin) -> None:
    """What is missing is said with what to do about it, and no failed stack is left to be deleted first."""
    session = twin.session("888888888888")
    with pytest.raises(PublishError, match=r"no role cn-ipam-launch.* deploy products/member-account\.yaml here"):
        publish(session, seconds=0.05)
    with pytest.raises(PublishError, match="no role another"):
        publish(session, Wish({"LaunchRoleName": "another"}), seconds=0.05)
    assert session.client("s3").list_buckets()["Buckets"] == []
    assert session.client("cloudformation").describe_stacks()["Stacks"] == []


def test_a_launch_role_of_another_name_is_said_once(twin: Twin) -> None:
    """The stack keeps it, and publishing again looks for that one."""
    session = twin.session("777777777777")
    nobody = {"Version": "2012-10-17", "Statement": []}
    session.client("iam").create_role(RoleName="launcher", AssumeRolePolicyDocument=json.dumps(nobody))
    assert publish(session, Wish({"LaunchRoleName": "launcher"}), seconds=0.05).changed
    assert not publish(session, seconds=0.05).changed


@pytest.mark.usefixtures("launch_role")
def test_shares(twin: Twin) -> None:
    """A portfolio is for those who are named until that is ended, and saying it again changes nothing."""
    session = twin.session(PUBLISHER)
    wish = Wish(everyone=(ORGANIZATION, "222222222222"))
    outputs = publish(session, wish, seconds=0.05).outputs
    again = publish(session, wish, seconds=0.05)
    assert not again.changed
    assert again.shares == {"EveryonePortfolioId": (ORGANIZATION, "222222222222"), "NetworkTeamPortfolioId": ()}
    catalog = session.client("servicecatalog")
    for kind, principal in (("ORGANIZATION", ORGANIZATION), ("ORGANIZATION_MEMBER_ACCOUNT", "222222222222")):
        shares = catalog.describe_portfolio_shares(PortfolioId=outputs["EveryonePortfolioId"], Type=kind)
        (share,) = shares["PortfolioShareDetails"]
        assert (share["PrincipalId"], share["SharePrincipals"], share["ShareTagOptions"]) == (principal, False, True)
    ended = publish(session, Wish(not_everyone=(ORGANIZATION,)), seconds=0.05)
    assert ended.shares["EveryonePortfolioId"] == ("222222222222",)
    with pytest.raises(PublishError, match=f"is not shared with {ORGANIZATION}"):
        publish(session, Wish(not_network_team=(ORGANIZATION,)), seconds=0.05)
    assert publish(session, Wish(not_everyone=("222222222222",)), seconds=0.05).shares["EveryonePortfolioId"] == ()


@pytest.mark.usefixtures("launch_role")
def test_accounts_that_accept_a_share_themselves(twin: Twin) -> None:
    """What CloudFormation can share with, an account, is in the stack: it comes and goes with a parameter."""
    session = twin.session(PUBLISHER)
    shared = publish(session, Wish({"NetworkTeamAccounts": "222222222222,333333333333"}), seconds=0.05)
    assert shared.shares["NetworkTeamPortfolioId"] == ("222222222222", "333333333333")
    one = publish(session, Wish({"NetworkTeamAccounts": "333333333333"}), seconds=0.05)
    assert one.shares["NetworkTeamPortfolioId"] == ("333333333333",)
    none = publish(session, Wish({"NetworkTeamAccounts": "000000000000"}), seconds=0.05)
    assert none.shares["NetworkTeamPortfolioId"] == ()


@pytest.mark.usefixtures("launch_role")
@pytest.mark.parametrize(("account", "accept"), [("777777777777", "yes"), ("222222222222", "no")])
def test_a_member_account_lets_its_roles_in(twin: Twin, account: str, accept: str) -> None:
    """Its stack accepts what is shared with it by itself, and lets its roles order; without the stack nobody can."""
    wish = Wish({"EveryoneAccounts": "777777777777"}, everyone=(ORGANIZATION,))
    portfolio = publish(twin.session(PUBLISHER), wish, seconds=0.05).outputs["EveryonePortfolioId"]
    catalog = twin.session(account).client("servicecatalog")

    def offered() -> int:
        return len(catalog.search_products()["ProductViewSummaries"])

    assert offered() == 0
    stack = Stack(twin, "access", account)
    roles = {"PortfolioId": portfolio, "AcceptShare": accept, "RoleNames": "team/network-orders,admin"}
    stack.create(PORTFOLIO.with_name("member-catalogue.yaml"), roles)
    assert offered() == 4
    stack.delete()
    assert offered() == 0
    ended = publish(twin.session(PUBLISHER), Wish({"EveryoneAccounts": "000000000000"}, not_everyone=(ORGANIZATION,)))
    assert ended.shares["EveryonePortfolioId"] == ()


@pytest.mark.usefixtures("launch_role")
def test_tags_to_choose_from(twin: Twin) -> None:
    """The values that are named are offered, in whatever order; one that is no longer named is offered no longer."""
    session = twin.session(PUBLISHER)
    catalog = session.client("servicecatalog")

    def offered() -> dict[str, str]:
        found = catalog.list_tag_options()["TagOptionDetails"]
        return {f"{option['Key']} {option['Value']}": option["Id"] for option in found}

    publish(session, Wish(cost_centres=("4711", "4712"), owners=("shop",)), seconds=0.05)
    before = offered()
    assert sorted(before) == ["CostCentre 4711", "CostCentre 4712", "Owner shop"]
    publish(session, Wish(cost_centres=("4713", "4712"), owners=("shop",)), seconds=0.05)
    after = offered()
    assert sorted(after) == ["CostCentre 4712", "CostCentre 4713", "Owner shop"]
    assert after["CostCentre 4712"] == before["CostCentre 4712"]
    publish(session, Wish({"CostCentres": "none", "Owners": "none"}), seconds=0.05)
    assert offered() == {}


@pytest.mark.usefixtures("launch_role")
def test_what_the_portfolios_offer(twin: Twin) -> None:
    """Everyone may order small networks, the network team any; each product names the launch role and its limits."""
    session = twin.session(PUBLISHER)
    outputs = publish(session, seconds=0.05).outputs
    catalog = session.client("servicecatalog")
    role = {"PrincipalARN": f"arn:aws:iam::{PUBLISHER}:role/network-team", "PrincipalType": "IAM"}
    for portfolio in ("EveryonePortfolioId", "NetworkTeamPortfolioId"):
        catalog.associate_principal_with_portfolio(PortfolioId=outputs[portfolio], **role)
    products = {each["Name"]: each["ProductId"] for each in catalog.search_products()["ProductViewSummaries"]}
    paths = {
        name: {path["Name"] for path in catalog.list_launch_paths(ProductId=key)["LaunchPathSummaries"]}
        for name, key in products.items()
    }
    both = {"Networks", "Networks of any size"}
    assert paths.pop("Egress VPC") == {"Networks of any size"}
    assert len(paths) == 4 and all(names == both for names in paths.values())
    for key in products.values():
        for path in catalog.list_launch_paths(ProductId=key)["LaunchPathSummaries"]:
            assert {each["Type"] for each in path["ConstraintSummaries"]} == {"LAUNCH", "TEMPLATE"}


def test_broken_template_changes_nothing(publisher: Publisher) -> None:
    """A template that is none is refused before anything is uploaded; what was on offer still is."""
    before = publisher.publish().outputs["Versions"]
    publisher.write("Resources: [")
    with pytest.raises(PublishError, match=r"thing\.yaml: "):
        publisher.publish()
    publisher.write(THING)
    assert publisher.publish().outputs["Versions"].split(",")[0] in before.split(",")


@pytest.mark.parametrize("node", ["o_1", "12345678901", "r-root", ""])
def test_share_with_nobody(publisher: Publisher, node: str) -> None:
    """Whom a portfolio is for is read before anything is done."""
    with pytest.raises(PublishError, match="neither an organisation"):
        publisher.publish(everyone=(node,))


def test_version_names_the_content() -> None:
    """The same files are the same version, whatever their order; a changed or renamed one is another."""
    version = version_of({"a": b"1", "b": b"2"})
    assert version == version_of({"b": b"2", "a": b"1"})
    assert len({version, version_of({"a": b"12", "b": b""}), version_of({"a": b"1", "c": b"2"})}) == 3


def test_every_product_is_published() -> None:
    """The portfolio names templates that are there, and all that are ordered."""
    names = {path.name for path in PORTFOLIO.parent.glob("*.yaml")}
    others = {"portfolio.yaml", "member-account.yaml", "member-catalogue.yaml", "address-plan.yaml"}
    assert templates().keys() == names - others


@pytest.mark.usefixtures("launch_role")
def test_command(twin: Twin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says what is on offer, and fails with a sentence."""
    for name, value in twin.env(PUBLISHER).items():
        monkeypatch.setenv(name, value)
    assert command(["--share", ORGANIZATION, "--parameter", f"Regions={REGION}"]) == 0
    said = capsys.readouterr().out
    assert "EveryonePortfolioId port-" in said and f", shared with {ORGANIZATION}\n" in said
    assert command(["--unshare", ORGANIZATION]) == 0
    assert ", shared with nobody" in capsys.readouterr().out
    assert command(["--share", "everybody"]) == 1
    assert capsys.readouterr().err.startswith("publish: everybody is neither")
