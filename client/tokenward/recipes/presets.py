"""`auth login --from MAKER`: recipes with a name, for the programs that most users have.

| MAKER | command |
| --- | --- |
| gcloud, gcloud:CONFIGURATION | gcloud config config-helper |
| aws, aws:PROFILE | aws codeartifact get-authorization-token, with domain, owner and region of the URL |
| az | az account get-access-token, for Azure DevOps |
| pass:PATH | pass show PATH |
| op://VAULT/ITEM/FIELD | op read |
| bw:ITEM | bw get password ITEM |
| vault:PATH#FIELD, bao:PATH#FIELD | vault (or bao) kv get -field=FIELD PATH |

A setting that the shell has in a variable and the agent has not (`AWS_PROFILE`,
`CLOUDSDK_ACTIVE_CONFIG_NAME`, `VAULT_ADDR`, `VAULT_NAMESPACE`, OpenBao's `BAO_…`) becomes an
argument. `op` and `bw` work in a session that only the user's shell has, so `auth refresh` runs
them. Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tokenward.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

NAMES: Final = (
    *("gcloud", "aws", "az", "pass:PATH", "op://…", "bw:ITEM"),
    *("vault:PATH#FIELD", "bao:PATH#FIELD"),
)

_CODEARTIFACT: Final = re.compile(
    r"https://(?P<domain>[a-z0-9-]+)-(?P<owner>\d{12})\.d\.codeartifact\.(?P<region>[a-z0-9-]+)"
    r"\.amazonaws\.com/"
)
_AZURE_DEVOPS: Final = "499b84ac-1321-427f-aa17-267ca6975798"
"""The id of Azure DevOps at Microsoft Entra, the same in every tenant."""


class Preset(NamedTuple):
    """A command, the user name that its index wants ("" if the user has to say it), and who runs it."""

    words: list[str]
    username: str = ""
    form: str = "auto"
    attended: bool = False


def find_preset(source: str, service: str, environ: Mapping[str, str]) -> Preset:
    """Return the preset of a source for a service, which is a key. Raises CommandError."""
    if source.startswith("op://"):
        return Preset(["op", "read", "--no-newline", source], form="text", attended=True)
    name, _, rest = source.partition(":")
    if name == "gcloud":
        chosen = rest or environ.get("CLOUDSDK_ACTIVE_CONFIG_NAME", "")
        more = [f"--configuration={chosen}"] if chosen else []
        words = ["gcloud", "config", "config-helper", "--format=json(credential)", *more]
        return Preset(words, "oauth2accesstoken", "json")
    if name == "aws":
        return _codeartifact(service, rest or environ.get("AWS_PROFILE", ""))
    if source == "az":
        words = ["az", "account", "get-access-token", "--resource", _AZURE_DEVOPS]
        return Preset([*words, "--output", "json"], "VssSessionToken", "json")
    if name == "pass" and rest:
        return Preset(["pass", "show", rest], form="text")
    if name == "bw" and rest:
        return Preset(["bw", "get", "password", rest], form="text", attended=True)
    path, _, field = rest.rpartition("#")
    if name in {"vault", "bao"} and path and field:
        known = ("BAO", "VAULT") if name == "bao" else ("VAULT",)
        more = [
            f"-{flag}={value}"
            for flag, variable in (("address", "ADDR"), ("namespace", "NAMESPACE"))
            if (value := next(filter(None, (environ.get(f"{k}_{variable}") for k in known)), ""))
        ]
        return Preset([name, "kv", "get", *more, f"-field={field}", path], form="text")
    raise CommandError("`--from` does not know such a source.", f"it is one of {', '.join(NAMES)}")


def _codeartifact(service: str, profile: str) -> Preset:
    matched = _CODEARTIFACT.match(service)
    if matched is None:
        raise CommandError(
            "`--from aws` is for an index of AWS CodeArtifact, whose URL has domain, owner and region.",
            "for another one: `--command -- aws …`",
        )
    words = ["aws", "codeartifact", "get-authorization-token", "--domain", matched["domain"]]
    words += ["--domain-owner", matched["owner"], "--region", matched["region"], "--output", "json"]
    return Preset([*words, "--profile", profile] if profile else words, "aws", "json")
