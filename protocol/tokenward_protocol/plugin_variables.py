"""The variables that plug-ins of keyring read: they travel with a credential that stays in a keyring.

A plug-in works in the user's shell by variables that the agent does not have: an AWS profile, the
file of a Google account, a proxy, a certificate. `auth login --adopt` passes on those that are set
and known here, and the search path. Their values may be secrets.

Refused are those of the same families by which a program chooses the code that it runs, and every
other variable. Pure.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

PATH: Final = "PATH"
"""Where a plug-in finds its program, such as `gcloud` or `pass`; the agent judges each folder."""

MOST_BYTES: Final = 32 * 1024
"""Bytes of all variables of one credential."""

_KNOWN: Final = re.compile(
    r"(?:GOOGLE_|CLOUDSDK_|AWS_|AZURE_|VSS_NUGET_|ARTIFACTS_|NUGET_CREDENTIALPROVIDER_"
    r"|KEYRING_SERVICE_)\w{1,120}"
    r"|(?:https?|all|no|HTTPS?|ALL|NO)_(?:proxy|PROXY)"
    r"|(?:REQUESTS|CURL|AWS)_CA_BUNDLE|SSL_CERT_(?:FILE|DIR)"
    r"|GCE_METADATA_\w{1,20}|NO_GCE_CHECK|GNUPGHOME|PASSWORD_STORE_DIR|PATH",
    re.ASCII,
)
_CHOOSING: Final = re.compile(r"CLOUDSDK_PYTHON|CLOUDSDK_ROOT_DIR$|AZURE_EXTENSION_DIR$", re.ASCII)
"""Google's and Azure's: the interpreter, and folders from which code is loaded."""


def is_of_plugins(name: str) -> bool:
    """Tell whether a variable travels with an adopted credential."""
    return bool(_KNOWN.fullmatch(name)) and not _CHOOSING.match(name)
