"""What every command needs: its collaborators, and the form in which to print.

Tests put others in the place of those that make collaborators, of `caller`, and of `is_attended` for the terminal;
nothing else of the command line reaches AWS or asks a person.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ipam import bootstrap
from ipam.settings import Settings

if TYPE_CHECKING:
    from ipam.services.import_source import VpcIpam
    from ipam.services.ports import Ports
    from ipam.services.ports.outside import Secrets


class Format(StrEnum):
    """How a result is printed: for people, or for programs."""

    table = "table"
    json = "json"
    csv = "csv"


REGION: Final = "AWS_REGION"
"""Optional for the command line, though not for a function: a profile may say the Region."""

PATIENCE: Final = 30
"""Seconds that an answer may take: nobody's request waits, and a page of a long listing is long."""

Output = Annotated[
    Format | None, typer.Option("--output", "-o", help="As `ipam --output`; stands above it.", show_default="table")
]


Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def ports() -> Ports:
    """Give the services the deployed table. No key is needed for that."""
    return bootstrap.ports(Settings.from_environment(optional={"IPAM_MASTER_KEY_SECRET", REGION}), PATIENCE)


def secrets() -> Secrets:
    """Give the services the master keys. No table is needed for that."""
    return bootstrap.secrets(Settings.from_environment(optional={"IPAM_TABLE_NAME", REGION}))


def vpc_ipam(region: str | None) -> VpcIpam:
    """Give the Amazon VPC IPAM of a Region, or of the ordinary one, to import from. No table is needed for that."""
    settings = Settings.from_environment(optional={"IPAM_MASTER_KEY_SECRET", "IPAM_TABLE_NAME", REGION})
    return bootstrap.vpc_ipam_export(region or settings.region)


def caller() -> str:
    """Name who is at the keyboard, as AWS knows them: the ARN of a user or of an assumed role's session."""
    return bootstrap.caller(Settings.from_environment(optional={"IPAM_MASTER_KEY_SECRET", "IPAM_TABLE_NAME", REGION}))


def cause() -> str:
    """Name who is at the keyboard, for the audit record."""
    return f"ipam command line, {caller()}"


def known() -> Settings:
    """Tell what the environment says, whatever a command needs of it."""
    return Settings.from_environment(optional={"IPAM_MASTER_KEY_SECRET", "IPAM_TABLE_NAME", REGION})


def is_known_region(region: str) -> bool:
    """Whether a Region is one that this version knows; a newer one is not."""
    return region in bootstrap.regions()


def is_attended() -> bool:
    """Whether a person is there to be asked."""
    return sys.stdin.isatty()


def chosen(context: typer.Context, output: Format | None) -> Format:
    """Tell the form to print in: the command's own option, or else that of `ipam` itself."""
    if output is not None:
        return output
    general = context.find_root().obj
    return general if isinstance(general, Format) else Format.table


def only_text(context: typer.Context, instead: str) -> None:
    """Refuse another form for a command that has one only."""
    form = chosen(context, None)
    if form is not Format.table:
        raise typer.BadParameter(f"{form.value} is not what this command prints. {instead}", param_hint="--output")
