"""The CloudFormation types of Service Catalog, made of the same verbs as its API.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_ServiceCatalog.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.bridges.resource_types import ResourceType, truth
from local.bridges.service_catalog.catalog import CatalogError, invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.bridges.service_catalog.catalog import Catalog

    Record = dict[str, Any]
    Made = tuple[str, Record]
    Delete = Callable[[str, Record], None]

_FAMILY = "AWS::ServiceCatalog::"
_ARTIFACTS = "ProvisioningArtifactParameters"
_PRODUCT = ("Name", "Owner", "Description", "Distributor", "SupportDescription", "SupportEmail", "SupportUrl")
_PAIR = ("PortfolioId", "ProductId")


def register(catalog: Catalog) -> None:
    """Make the types known to the emulator's CloudFormation."""
    things, joints = Things(catalog), Joints(catalog)
    for each in (*things.types(), *joints.types(), *constraints(catalog)):
        each.register()


class Things:
    """Portfolios, products, TagOptions."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def types(self) -> tuple[ResourceType, ...]:
        """Give the types."""
        catalog = self._catalog
        return (
            ResourceType(
                _FAMILY + "Portfolio",
                self._create_portfolio,
                _gone(lambda key, _props: catalog.delete_portfolio(key)),
                (),
                ("DisplayName", "ProviderName", "Description"),
                self._change_portfolio,
            ),
            ResourceType(
                _FAMILY + "CloudFormationProduct",
                self._create_product,
                _gone(lambda key, _props: catalog.delete_product(key)),
                (),
                (*_PRODUCT, _ARTIFACTS),
                self._change_product,
            ),
            ResourceType(
                _FAMILY + "TagOption",
                self._create_option,
                _gone(lambda key, _props: catalog.delete_tag_option(key)),
                ("Key", "Value"),
                ("Active",),
            ),
        )

    def _create_portfolio(self, props: Record) -> Made:
        portfolio = self._catalog.create_portfolio(props)
        return portfolio["Id"], {"PortfolioName": portfolio["DisplayName"]}

    def _change_portfolio(self, physical_id: str, _old: Record, new: Record) -> Made:
        portfolio = self._catalog.update_portfolio(physical_id, {"Description": "", **new})
        return physical_id, {"PortfolioName": portfolio["DisplayName"]}

    def _create_product(self, props: Record) -> Made:
        product = self._catalog.create_product(props, props[_ARTIFACTS])
        return product["ProductId"], _attributes(product)

    def _change_product(self, physical_id: str, old: Record, new: Record) -> Made:
        """Keep the versions that are what they were, by name and address; the others are new ones."""
        product = self._catalog.own("products", "Product", physical_id)
        by_name = {artifact["Name"]: key for key, artifact in product["Artifacts"].items()}
        before = {_version(each): by_name.get(each.get("Name")) for each in old[_ARTIFACTS]}
        kept = {}
        for given in new[_ARTIFACTS]:
            key = before.get(_version(given)) or self._catalog.add_artifact(product, given)["Id"]
            kept[key] = given
        self._catalog.describe_as(product, {name: new[name] for name in _PRODUCT if name in new})
        for key in set(product["Artifacts"]) - set(kept):
            del product["Artifacts"][key]
        for key, given in kept.items():
            product["Artifacts"][key]["Description"] = given.get("Description", "")
        return physical_id, _attributes(product)

    def _create_option(self, props: Record) -> Made:
        if not truth(props.get("Active", True)):
            raise invalid("The local twin does not know TagOptions that are not active")
        return self._catalog.create_tag_option(props["Key"], props["Value"])["Id"], {}


class Joints:
    """What joins them, and whom they are for."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def types(self) -> tuple[ResourceType, ...]:
        """Give the types."""
        catalog = self._catalog
        return (
            ResourceType(
                _FAMILY + "PortfolioProductAssociation",
                self._associate_product,
                _gone(lambda _key, props: catalog.disassociate_product(props["ProductId"], props["PortfolioId"])),
                _PAIR,
            ),
            ResourceType(
                _FAMILY + "TagOptionAssociation",
                self._associate_option,
                _gone(lambda _key, props: catalog.disassociate_tag_option(props["ResourceId"], props["TagOptionId"])),
                ("ResourceId", "TagOptionId"),
            ),
            ResourceType(
                _FAMILY + "PortfolioPrincipalAssociation",
                self._associate_principal,
                _gone(lambda _key, props: catalog.disassociate_principal(props["PortfolioId"], props["PrincipalARN"])),
                ("PortfolioId", "PrincipalARN", "PrincipalType"),
            ),
            ResourceType(
                _FAMILY + "PortfolioShare",
                self._share,
                _gone(lambda _key, props: catalog.unshare(props["PortfolioId"], ("ACCOUNT", props["AccountId"]))),
                ("PortfolioId", "AccountId"),
                ("ShareTagOptions",),
            ),
            ResourceType(
                _FAMILY + "AcceptedPortfolioShare",
                self._accept,
                _gone(lambda key, _props: catalog.accept(key, accepted=False)),
                ("PortfolioId",),
            ),
        )

    def _associate_product(self, props: Record) -> Made:
        self._catalog.associate_product(props["ProductId"], props["PortfolioId"])
        return f"{props['PortfolioId']}|{props['ProductId']}", {}

    def _associate_option(self, props: Record) -> Made:
        self._catalog.associate_tag_option(props["ResourceId"], props["TagOptionId"])
        return f"{props['TagOptionId']}:{props['ResourceId']}", {}

    def _associate_principal(self, props: Record) -> Made:
        self._catalog.associate_principal(props["PortfolioId"], props["PrincipalARN"], props["PrincipalType"])
        return f"{props['PrincipalARN']}|{props['PortfolioId']}", {}

    def _share(self, props: Record) -> Made:
        options = {"ShareTagOptions": truth(props.get("ShareTagOptions", False))}
        self._catalog.share(props["PortfolioId"], ("ACCOUNT", props["AccountId"]), options)
        return f"{props['PortfolioId']}|{props['AccountId']}", {}

    def _accept(self, props: Record) -> Made:
        self._catalog.accept(props["PortfolioId"])
        return props["PortfolioId"], {}


def constraints(catalog: Catalog) -> tuple[ResourceType, ...]:
    """Give the types of constraints, each of which is one kind of the API's."""
    return (
        _constraint(
            catalog,
            "LaunchRoleConstraint",
            "LAUNCH",
            "LocalRoleName",
            lambda props: json.dumps({"LocalRoleName": props.get("LocalRoleName")}),
        ),
        _constraint(catalog, "LaunchTemplateConstraint", "TEMPLATE", "Rules", lambda props: str(props["Rules"])),
    )


def _constraint(catalog: Catalog, name: str, kind: str, said: str, parameters: Callable[[Record], str]) -> ResourceType:
    def create(props: Record) -> Made:
        return catalog.create_constraint(kind, {**props, "Parameters": parameters(props)})["ConstraintId"], {}

    def change(physical_id: str, _old: Record, new: Record) -> Made:
        catalog.change_constraint(physical_id, {**new, "Parameters": parameters(new)})
        return physical_id, {}

    delete = _gone(lambda key, _props: catalog.delete_constraint(key))
    return ResourceType(_FAMILY + name, create, delete, _PAIR, (said, "Description"), change)


def _gone(delete: Delete) -> Delete:
    """Take what is gone already for deleted."""

    def forgiving(physical_id: str, props: Record) -> None:
        try:
            delete(physical_id, props)
        except CatalogError as error:
            if error.code != "ResourceNotFoundException":
                raise

    return forgiving


def _version(given: Record) -> tuple[Any, ...]:
    return given.get("Name"), given["Info"].get("LoadTemplateFromURL")


def _attributes(product: Record) -> Record:
    artifacts = product["Artifacts"].values()
    return {
        "ProductName": product["Name"],
        "ProvisioningArtifactIds": ",".join(each["Id"] for each in artifacts),
        "ProvisioningArtifactNames": ",".join(each["Name"] for each in artifacts),
    }
