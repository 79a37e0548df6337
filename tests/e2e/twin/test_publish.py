"""Publishing to the twin's Service Catalog, as `make publish` does: templates of the test's own, and the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.settings import REGION
from tools.publish import PORTFOLIO, Published, PublishError, Wish, publish, templates, version_of
from tools.publish import main as command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.twin import Twin

PUBLISHER = "666666666666"
ORGANIZATION = "o-exampleorg1"
SMALL = """
Parameters:
  TemplateBucket: { Type: String }
  TemplatePrefix: { Type: String }
  Version: { Type: String }
  PreviousVersion: { Type: String, Default: "" }
  CostCentres: { Type: CommaDelimitedList, Default: none }
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


@pytest.mark.usefixtures("launch_role")
def test_shares_and_tags(twin: Twin) -> None:
    """A portfolio is for those who are named, TagOptions are offered with it, and saying it again changes nothing."""
    session = twin.session(PUBLISHER)
    wish = Wish(everyone=(ORGANIZATION, "222222222222"), cost_centres=("4711", "4712"))
    outputs = publish(session, wish, seconds=0.05).outputs
    assert not publish(session, wish, seconds=0.05).changed
    catalog = session.client("servicecatalog")
    for kind, principal in (("ORGANIZATION", ORGANIZATION), ("ORGANIZATION_MEMBER_ACCOUNT", "222222222222")):
        shares = catalog.describe_portfolio_shares(PortfolioId=outputs["EveryonePortfolioId"], Type=kind)
        (share,) = shares["PortfolioShareDetails"]
        assert (share["PrincipalId"], share["SharePrincipals"], share["ShareTagOptions"]) == (principal, False, True)
    large = catalog.describe_portfolio_shares(PortfolioId=outputs["NetworkTeamPortfolioId"], Type="ORGANIZATION")
    assert large["PortfolioShareDetails"] == []
    options = catalog.list_tag_options(Filters={"Key": "CostCentre"})["TagOptionDetails"]
    assert sorted(option["Value"] for option in options) == ["4711", "4712"]


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
            assert sorted(each["Type"] for each in path["ConstraintSummaries"]) == ["LAUNCH", "TEMPLATE"]


def test_broken_template_changes_nothing(publisher: Publisher) -> None:
    """A template that is none fails the stack, with the reason; what was on offer still is."""
    before = publisher.publish().outputs["Versions"]
    publisher.write("Resources: [")
    with pytest.raises(PublishError, match="Thing: Invalid templateBody"):
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
    others = {"portfolio.yaml", "member-account.yaml", "address-plan.yaml"}
    assert templates().keys() == names - others


@pytest.mark.usefixtures("launch_role")
def test_command(twin: Twin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says what is on offer, and fails with a sentence."""
    for name, value in twin.env(PUBLISHER).items():
        monkeypatch.setenv(name, value)
    assert command(["--share", ORGANIZATION, "--parameter", f"Regions={REGION}"]) == 0
    assert "EveryonePortfolioId port-" in capsys.readouterr().out
    assert command(["--share", "everybody"]) == 1
    assert capsys.readouterr().err.startswith("publish: everybody is neither")
