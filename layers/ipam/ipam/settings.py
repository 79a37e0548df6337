"""The environment, read here and nowhere else."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_ENDPOINT: Final = re.compile(r"(https://[a-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._-]+)*)?")


class SettingError(Exception):
    """The environment does not say what a process needs to know, or says it wrongly."""


class MissingSettingError(SettingError):
    """The environment does not say what a process needs to know."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a deployment decides.

    Attributes:
        table_name: the DynamoDB table (IPAM_TABLE_NAME).
        master_key_secret: ARN or name of the secret that tenants' keys are derived from (IPAM_MASTER_KEY_SECRET).
        response_endpoint: what the address of every answer begins with: scheme, host, port and path, without a slash
            at the end (IPAM_RESPONSE_ENDPOINT). Empty, which is the rule, stands for CloudFormation's own hosts and
            nothing else; only a local twin of AWS sets it.
        region: the Region that the process runs in (AWS_REGION, which Lambda sets, or AWS_DEFAULT_REGION).
        home_region: the Region that has the table and the secret, for a process that serves stacks of another one
            (IPAM_HOME_REGION), or "": its own.
        cn_cidr_function: ARN of the alias `live`, which parked requests are handed over to and tenants' aliases follow
            (IPAM_CN_CIDR_FUNCTION), or "".
        organizations_role: ARN of the role that may ask AWS Organizations (IPAM_ORGANIZATIONS_ROLE), or "": the process
            itself may.
        discovery_role: name of the role that may look at the stacks of an account, the same in each
            (IPAM_DISCOVERY_ROLE), or "": they are not looked at.
        ca_bundle: file of the certificate authorities to trust instead of the system's (AWS_CA_BUNDLE, which boto3
            heeds as well), or "".
    """

    table_name: str
    master_key_secret: str
    response_endpoint: str
    region: str
    ca_bundle: str
    home_region: str = ""
    cn_cidr_function: str = ""
    organizations_role: str = ""
    discovery_role: str = ""

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, *, optional: Collection[str] = ()
    ) -> Settings:
        """Read the environment.

        Args:
            environment: what to read instead of the process's own.
            optional: names of variables that this process can do without; they are then "".

        Raises:
            MissingSettingError: variables are missing.
            SettingError: a variable is not what it should be.
        """
        given = os.environ if environment is None else environment
        values = {
            "IPAM_TABLE_NAME": given.get("IPAM_TABLE_NAME", ""),
            "IPAM_MASTER_KEY_SECRET": given.get("IPAM_MASTER_KEY_SECRET", ""),
            "AWS_REGION": given.get("AWS_REGION", "") or given.get("AWS_DEFAULT_REGION", ""),
        }
        missing = [name for name, value in values.items() if not value and name not in optional]
        if missing:
            raise MissingSettingError(f"set {', '.join(missing)} in the environment")
        endpoint = given.get("IPAM_RESPONSE_ENDPOINT", "")
        if _ENDPOINT.fullmatch(endpoint) is None:
            raise SettingError(
                f"IPAM_RESPONSE_ENDPOINT is {endpoint!r}: write https://host, with port and path if needed, or nothing"
            )
        return cls(
            table_name=values["IPAM_TABLE_NAME"],
            master_key_secret=values["IPAM_MASTER_KEY_SECRET"],
            response_endpoint=endpoint,
            region=values["AWS_REGION"],
            ca_bundle=given.get("AWS_CA_BUNDLE", ""),
            home_region=given.get("IPAM_HOME_REGION", ""),
            cn_cidr_function=given.get("IPAM_CN_CIDR_FUNCTION", ""),
            organizations_role=given.get("IPAM_ORGANIZATIONS_ROLE", ""),
            discovery_role=given.get("IPAM_DISCOVERY_ROLE", ""),
        )
