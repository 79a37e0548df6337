"""The twin's Service Catalog: a portfolio of the network account, ordered from by an account that it is shared with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.settings import MEMBER_ACCOUNT, NETWORK_ACCOUNT, OUTSIDE_ACCOUNT, REGION
from tests.e2e.twin.account import Account, until

if TYPE_CHECKING:
    from local.twin import Twin

ROLE = "catalog-launch"
BUCKET = "catalog-templates"
NETWORK = {
    "Parameters": {"Cidr": {"Type": "String"}, "Zone": {"Type": "String", "Default": "a"}},
    "Resources": {"Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": {"Ref": "Cidr"}}}},
    "Outputs": {"VpcId": {"Value": {"Ref": "Vpc"}, "Description": "The VPC."}},
}
RULES = {
    "Rules": {
        "Zone": {
            "Assertions": [
                {"Assert": {"Fn::Contains": [["a", "b"], {"Ref": "Zone"}]}, "AssertDescription": "zones a and b only"}
            ]
        }
    }
}


class Catalogue:
    """A portfolio with one product, as its administrator has made it."""

    def __init__(self, twin: Twin) -> None:
        self.twin = twin
        session = twin.session(NETWORK_ACCOUNT)
        self.admin = session.client("servicecatalog")
        s3 = session.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=BUCKET, Key="1/network.json", Body=json.dumps(NETWORK).encode())
        self.url = f"https://{BUCKET}.s3.{REGION}.amazonaws.com/1/network.json"
        made = self.admin.create_portfolio(DisplayName="networks", ProviderName="network team")
        self.portfolio = made["PortfolioDetail"]["Id"]
        made = self.admin.create_product(
            Name="network",
            Owner="network team",
            ProductType="CLOUD_FORMATION_TEMPLATE",
            ProvisioningArtifactParameters={"Name": "1", "Info": {"LoadTemplateFromURL": self.url}},
        )
        self.product = made["ProductViewDetail"]["ProductViewSummary"]["ProductId"]
        self.admin.associate_product_with_portfolio(ProductId=self.product, PortfolioId=self.portfolio)
        Team(twin, NETWORK_ACCOUNT).make_role()
        for kind, said in (("LAUNCH", {"LocalRoleName": ROLE}), ("TEMPLATE", RULES)):
            where = {"PortfolioId": self.portfolio, "ProductId": self.product}
            self.admin.create_constraint(Type=kind, Parameters=json.dumps(said), **where)
        node = {"Type": "ORGANIZATION", "Value": "o-exampleorg1"}
        self.admin.create_portfolio_share(PortfolioId=self.portfolio, OrganizationNode=node)


class Team:
    """An account that orders."""

    def __init__(self, twin: Twin, account: str) -> None:
        self.account = account
        session = twin.session(account)
        self.catalog, self.iam, self.ec2 = (session.client(name) for name in ("servicecatalog", "iam", "ec2"))

    def may_use(self, portfolio: str) -> None:
        """Let somebody of the account use a portfolio."""
        self.catalog.associate_principal_with_portfolio(
            PortfolioId=portfolio, PrincipalARN=f"arn:aws:iam::{self.account}:role/team", PrincipalType="IAM"
        )

    def make_role(self, service: str = "servicecatalog.amazonaws.com") -> None:
        """Make the launch role, which a service may assume."""
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
        }
        self.iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust))

    def order(self, name: str, **parameters: str) -> dict[str, Any]:
        """Order a network, and give the record that comes of it."""
        detail = self.catalog.provision_product(
            ProductName="network",
            ProvisioningArtifactName="1",
            ProvisionedProductName=name,
            ProvisioningParameters=[{"Key": key, "Value": value} for key, value in parameters.items()],
        )["RecordDetail"]
        return self.ended(detail["RecordId"])

    def change(self, name: str, **parameters: str) -> dict[str, Any]:
        """Change what was ordered."""
        detail = self.catalog.update_provisioned_product(
            ProvisionedProductName=name,
            ProvisioningParameters=[{"Key": key, "Value": value} for key, value in parameters.items()],
        )["RecordDetail"]
        return self.ended(detail["RecordId"])

    def give_back(self, name: str) -> dict[str, Any]:
        """Terminate what was ordered."""
        detail = self.catalog.terminate_provisioned_product(ProvisionedProductName=name)["RecordDetail"]
        return self.ended(detail["RecordId"])

    def ended(self, record_id: str) -> dict[str, Any]:
        """Wait until a record has come to its end."""

        def ended() -> dict[str, Any] | None:
            record = self.catalog.describe_record(Id=record_id)
            done = record["RecordDetail"]["Status"] in {"SUCCEEDED", "FAILED"}
            return dict(record) if done else None

        found = until(ended)
        assert found, self.catalog.describe_record(Id=record_id)
        return dict(found)

    def product(self, name: str) -> dict[str, Any]:
        """Describe what was ordered."""
        return dict(self.catalog.describe_provisioned_product(Name=name)["ProvisionedProductDetail"])

    def vpcs(self) -> set[str]:
        """Give the CIDRs of the account's VPCs."""
        return {vpc["CidrBlock"] for vpc in self.ec2.describe_vpcs()["Vpcs"]}


@pytest.fixture(scope="module")
def catalogue(twin: Twin) -> Catalogue:
    return Catalogue(twin)


@pytest.fixture(scope="module")
def team(twin: Twin, catalogue: Catalogue) -> Team:
    team = Team(twin, MEMBER_ACCOUNT)
    team.may_use(catalogue.portfolio)
    team.make_role()
    return team


def test_order_change_and_give_back(team: Team) -> None:
    """An order is a stack of the account that orders; its change and its end are the stack's."""
    record = team.order("shop", Cidr="10.30.0.0/24")
    detail = record["RecordDetail"]
    assert (detail["Status"], detail["RecordType"]) == ("SUCCEEDED", "PROVISION_PRODUCT")
    assert detail["LaunchRoleArn"] == f"arn:aws:iam::{MEMBER_ACCOUNT}:role/{ROLE}"
    outputs = {each["OutputKey"]: each["OutputValue"] for each in record["RecordOutputs"]}
    assert f":{MEMBER_ACCOUNT}:stack/SC-{MEMBER_ACCOUNT}-pp-" in outputs["CloudformationStackARN"]
    assert team.ec2.describe_vpcs(VpcIds=[outputs["VpcId"]])["Vpcs"][0]["CidrBlock"] == "10.30.0.0/24"
    assert team.product("shop")["Status"] == "AVAILABLE"

    assert team.change("shop", Cidr="10.31.0.0/24")["RecordDetail"]["Status"] == "SUCCEEDED"
    seen = team.catalog.get_provisioned_product_outputs(ProvisionedProductName="shop", OutputKeys=["VpcId"])["Outputs"]
    assert seen[0]["OutputValue"] != outputs["VpcId"]
    assert until(lambda: "10.30.0.0/24" not in team.vpcs()) and "10.31.0.0/24" in team.vpcs()

    until(lambda: team.product("shop")["Status"] == "AVAILABLE")
    assert team.give_back("shop")["RecordDetail"]["Status"] == "SUCCEEDED"
    assert "10.31.0.0/24" not in team.vpcs()
    assert team.catalog.scan_provisioned_products()["ProvisionedProducts"] == []


def test_stack_that_fails(team: Team) -> None:
    """An order whose stack fails says why, and stays until it is given back."""
    record = team.order("wrong", Cidr="10.0.0.0/8")["RecordDetail"]
    assert record["Status"] == "FAILED"
    assert "InvalidVpc.Range" in record["RecordErrors"][0]["Description"]
    assert team.product("wrong")["Status"] == "ERROR"
    assert team.give_back("wrong")["RecordDetail"]["Status"] == "SUCCEEDED"


def test_change_that_fails(team: Team) -> None:
    """A change whose stack rolls back leaves what was there, marked as tainted."""
    team.order("tainted", Cidr="10.32.0.0/24")
    record = team.change("tainted", Cidr="10.0.0.0/8")["RecordDetail"]
    assert record["Status"] == "FAILED"
    assert "InvalidVpc.Range" in record["RecordErrors"][0]["Description"]
    assert team.product("tainted")["Status"] == "TAINTED" and "10.32.0.0/24" in team.vpcs()
    assert team.give_back("tainted")["RecordDetail"]["Status"] == "SUCCEEDED"


def test_constraint_refuses(team: Team) -> None:
    """What a template constraint rules out is refused with its reason, before there is any stack."""
    record = team.order("zoned", Cidr="10.33.0.0/24", Zone="c")
    assert record["RecordDetail"]["Status"] == "FAILED" and record["RecordOutputs"] == []
    assert "zones a and b only" in record["RecordDetail"]["RecordErrors"][0]["Description"]
    assert "10.33.0.0/24" not in team.vpcs()
    assert team.give_back("zoned")["RecordDetail"]["Status"] == "SUCCEEDED"


def test_launch_role_is_needed(twin: Twin, catalogue: Catalogue) -> None:
    """Without a launch role that trusts Service Catalog nothing is launched, and nothing is terminated."""
    team = Team(twin, "333333333333")
    team.may_use(catalogue.portfolio)
    record = team.order("none", Cidr="10.34.0.0/24")["RecordDetail"]
    assert record["Status"] == "FAILED" and f"role/{ROLE}" in record["RecordErrors"][0]["Description"]
    team.make_role("lambda.amazonaws.com")
    assert team.order("other", Cidr="10.34.0.0/24")["RecordDetail"]["Status"] == "FAILED"
    team.iam.delete_role(RoleName=ROLE)
    team.make_role()
    assert team.order("trusted", Cidr="10.34.0.0/24")["RecordDetail"]["Status"] == "SUCCEEDED"
    team.iam.delete_role(RoleName=ROLE)
    record = team.give_back("trusted")["RecordDetail"]
    assert record["Status"] == "FAILED" and f"role/{ROLE}" in record["RecordErrors"][0]["Description"]
    assert "10.34.0.0/24" in team.vpcs()


def test_launch_role_is_needed_where_it_is_named(catalogue: Catalogue) -> None:
    """A launch constraint names a role that is in the portfolio's account as well."""
    for role, error in (("nobody", "ResourceNotFoundException"), (ROLE, "DuplicateResourceException")):
        with pytest.raises(ClientError, match=error):
            catalogue.admin.create_constraint(
                PortfolioId=catalogue.portfolio,
                ProductId=catalogue.product,
                Type="LAUNCH",
                Parameters=json.dumps({"LocalRoleName": role}),
            )


def test_who_sees_what(twin: Twin, catalogue: Catalogue, team: Team) -> None:
    """A product is there for the accounts that its portfolio is shared with, once they let somebody use it."""
    assert [each["Name"] for each in team.catalog.search_products()["ProductViewSummaries"]] == ["network"]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        team.catalog.create_provisioning_artifact(ProductId=catalogue.product, Parameters={"Info": {}})
    outside = Team(twin, OUTSIDE_ACCOUNT)
    assert outside.catalog.search_products()["ProductViewSummaries"] == []
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        outside.may_use(catalogue.portfolio)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        outside.order("mine", Cidr="10.35.0.0/24")
    member = Team(twin, "333333333333")
    team.order("theirs", Cidr="10.35.0.0/24")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        member.product("theirs")
    team.give_back("theirs")


def test_parameters_of_a_product(catalogue: Catalogue, team: Team) -> None:
    """Whoever orders sees the parameters, the constraints and the launch path."""
    shown = team.catalog.describe_provisioning_parameters(
        ProductId=catalogue.product, ProvisioningArtifactName="1", PathName="networks"
    )
    parameters = {each["ParameterKey"]: each for each in shown["ProvisioningArtifactParameters"]}
    assert parameters["Zone"]["DefaultValue"] == "a" and "DefaultValue" not in parameters["Cidr"]
    (path,) = team.catalog.list_launch_paths(ProductId=catalogue.product)["LaunchPathSummaries"]
    assert {each["Type"] for each in path["ConstraintSummaries"]} == {"LAUNCH", "TEMPLATE"}
    described = team.catalog.describe_product(Name="network")
    assert [each["Name"] for each in described["ProvisioningArtifacts"]] == ["1"]


def test_order_sent_again(team: Team) -> None:
    """The same request with the same token is one order; another with the same name is refused."""
    request: dict[str, Any] = {
        "ProductName": "network",
        "ProvisioningArtifactName": "1",
        "ProvisionedProductName": "twice",
        "ProvisioningParameters": [{"Key": "Cidr", "Value": "10.36.0.0/24"}],
    }
    first, second = (team.catalog.provision_product(**request, ProvisionToken="once") for _ in range(2))
    assert first["RecordDetail"] == second["RecordDetail"]
    with pytest.raises(ClientError, match="DuplicateResourceException"):
        team.catalog.provision_product(**request, ProvisionToken="again")
    team.ended(first["RecordDetail"]["RecordId"])
    team.give_back("twice")


@pytest.mark.parametrize(
    ("call", "arguments", "named"),
    [
        ("list_record_history", {}, "ListRecordHistory"),
        ("terminate_provisioned_product", {"ProvisionedProductName": "x", "RetainPhysicalResources": True}, "Retain"),
        ("search_products", {"SortBy": "Title"}, "SortBy"),
        (
            "create_constraint",
            {"PortfolioId": "port-1", "ProductId": "prod-1", "Type": "STACKSET", "Parameters": "{}"},
            "STACKSET",
        ),
    ],
)
def test_what_is_not_there(team: Team, call: str, arguments: dict[str, Any], named: str) -> None:
    """A call or parameter that the twin does not know is refused by its name."""
    with pytest.raises(ClientError, match=f"The local twin does not know .*{named}"):
        getattr(team.catalog, call)(**arguments)


def _of_catalog(kind: str, depends_on: str | None = None, /, **properties: Any) -> dict[str, Any]:
    resource = {"Type": f"AWS::ServiceCatalog::{kind}", "Properties": properties}
    return resource | ({"DependsOn": depends_on} if depends_on else {})


def test_types_of_cloudformation(twin: Twin, catalogue: Catalogue) -> None:
    """A stack makes a portfolio with all that belongs to it, changes it in place, and takes it away again."""
    network, member = Account(twin, NETWORK_ACCOUNT), Team(twin, "444444444444")
    shelf, thing, tag = ({"Ref": name} for name in ("Shelf", "Thing", "Tag"))
    both = {"PortfolioId": shelf, "ProductId": thing}
    resources = {
        "Shelf": _of_catalog("Portfolio", DisplayName="shelf", ProviderName="team"),
        "Thing": _of_catalog(
            "CloudFormationProduct",
            Name="thing",
            Owner="team",
            ProvisioningArtifactParameters=[{"Name": "1", "Info": {"LoadTemplateFromURL": catalogue.url}}],
        ),
        "Joint": _of_catalog("PortfolioProductAssociation", **both),
        "Role": _of_catalog("LaunchRoleConstraint", "Joint", **both, LocalRoleName=ROLE),
        "Limits": _of_catalog("LaunchTemplateConstraint", "Joint", **both, Rules=json.dumps(RULES)),
        "Tag": _of_catalog("TagOption", Key="CostCentre", Value="4711"),
        "Tagged": _of_catalog("TagOptionAssociation", ResourceId=shelf, TagOptionId=tag),
        "Mine": _of_catalog(
            "PortfolioPrincipalAssociation",
            PortfolioId=shelf,
            PrincipalARN=f"arn:aws:iam::{NETWORK_ACCOUNT}:role/team",
            PrincipalType="IAM",
        ),
        "Share": _of_catalog("PortfolioShare", PortfolioId=shelf, AccountId=member.account, ShareTagOptions=True),
    }
    outputs = {"Shelf": shelf, "Thing": thing, "Limits": {"Ref": "Limits"}}
    assert network.create("shelf", resources, outputs=outputs) == "CREATE_COMPLETE"
    made = network.outputs("shelf")

    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        member.may_use(made["Shelf"])
    member.catalog.accept_portfolio_share(PortfolioId=made["Shelf"])
    member.may_use(made["Shelf"])
    shown = member.catalog.describe_provisioning_parameters(ProductName="thing", ProvisioningArtifactName="1")
    assert shown["TagOptions"] == [{"Key": "CostCentre", "Values": ["4711"]}]

    resources["Limits"]["Properties"]["Rules"] = json.dumps({"Rules": {}})
    resources["Shelf"]["Properties"]["DisplayName"] = "renamed"
    assert network.update("shelf", resources, outputs=outputs) == "UPDATE_COMPLETE"
    assert network.outputs("shelf") == made
    assert member.catalog.list_launch_paths(ProductId=made["Thing"])["LaunchPathSummaries"][0]["Name"] == "renamed"

    assert network.delete("shelf") == "DELETE_COMPLETE"
    assert member.catalog.search_products()["ProductViewSummaries"] == []


@pytest.mark.parametrize(
    ("kind", "properties", "reason"),
    [
        ("Portfolio", {"DisplayName": "a", "ProviderName": "b", "Tags": []}, "property Tags of AWS::ServiceCatalog"),
        ("PortfolioProductAssociation", {"PortfolioId": "port-1", "ProductId": "prod-1"}, "ResourceNotFoundException"),
        ("TagOption", {"Key": "a", "Value": "b", "Active": False}, "TagOptions that are not active"),
    ],
)
def test_types_refuse(twin: Twin, kind: str, properties: dict[str, Any], reason: str) -> None:
    """A property that the twin does not know fails its resource by name, and so does what the service refuses."""
    network = Account(twin, NETWORK_ACCOUNT)
    assert network.create(f"refused-{kind}", {"A": _of_catalog(kind, **properties)}) == "ROLLBACK_COMPLETE"
    assert reason in network.reason(f"refused-{kind}", "A", "CREATE_FAILED")


def test_tags_of_an_order(catalogue: Catalogue, team: Team) -> None:
    """Of several TagOptions the caller names one; the stack has it."""
    for value in ("1", "2"):
        option = catalogue.admin.create_tag_option(Key="Level", Value=value)["TagOptionDetail"]["Id"]
        catalogue.admin.associate_tag_option_with_resource(ResourceId=catalogue.product, TagOptionId=option)
    order: dict[str, Any] = {
        "ProductName": "network",
        "ProvisioningArtifactName": "1",
        "ProvisioningParameters": [{"Key": "Cidr", "Value": "10.37.0.0/24"}],
    }
    # The share does not bring TagOptions along: nothing is asked there.
    record = team.order("free", Cidr="10.37.0.0/24")
    assert record["RecordDetail"]["Status"] == "SUCCEEDED" and record["RecordDetail"]["RecordTags"] == []
    team.give_back("free")
    own = Team(catalogue.twin, NETWORK_ACCOUNT)
    own.may_use(catalogue.portfolio)
    with pytest.raises(ClientError, match="Tag Level must be one of the TagOptions: 1, 2"):
        own.catalog.provision_product(**order, ProvisionedProductName="tagged")
    level = [{"Key": "Level", "Value": "2"}]
    made = own.catalog.provision_product(**order, ProvisionedProductName="tagged", Tags=level)["RecordDetail"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in own.ended(made["RecordId"])["RecordOutputs"]}
    (stack,) = (
        catalogue.twin.session(NETWORK_ACCOUNT)
        .client("cloudformation")
        .describe_stacks(StackName=outputs["CloudformationStackARN"])["Stacks"]
    )
    assert stack["Tags"] == level
    assert own.give_back("tagged")["RecordDetail"]["Status"] == "SUCCEEDED"
