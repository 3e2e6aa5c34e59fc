"""Publishing to the Hugging Face Hub by huggingface_hub: one commit with all files and the model's card.

Files are sent by the Hub's plain HTTP uploads, not by its Xet client: that one is native code, which would
take neither the proxy nor the certificates that were chosen.
"""

import logging
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from luxscaler.errors import PublishError, one_line
from luxscaler.publishing.card import card
from luxscaler.publishing.destinations import HubDestination, Network
from luxscaler.publishing.package import README, Package

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_ONE_AT_A_TIME = threading.Lock()
"""huggingface_hub has one HTTP client for the whole process, and the proxy is a property of that client."""
_NOT_ALLOWED = (401, 403, 404)
"""404: what a token may not see is not there for it."""
_NOT_SIGNED_IN = 401


def check(destination: HubDestination, network: Network) -> None:
    """Sign in, make the repository if it is absent, ask whether the token may write. Raises PublishError."""
    with _session(destination, network) as api:
        _writable(api, destination)


def send(package: Package, destination: HubDestination, network: Network) -> str:
    """Commit all files; the URL of the repository. Raises PublishError."""
    from huggingface_hub import CommitOperationAdd  # noqa: PLC0415 - an extra

    with _session(destination, network) as api, ExitStack() as opened:
        repo = _writable(api, destination)
        operations = [CommitOperationAdd(README, card(package).encode())]
        for name, path in package.files.items():
            if name != README:
                file = opened.enter_context(path.open("rb"))
                operations.append(CommitOperationAdd(name, file))
        api.create_commit(repo, operations, commit_message=f"{package.name}, by LuxScaler")
    return f"{destination.endpoint}/{repo}"


def _writable(api: "HfApi", destination: HubDestination) -> str:
    """OWNER/NAME of the repository, which exists now and may be written."""
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError  # noqa: PLC0415

    try:
        user = str(api.whoami()["name"])
    except HfHubHTTPError as error:
        if _status(error) == _NOT_SIGNED_IN:
            raise PublishError(_token_refused(error, destination)) from error
        raise
    repo = destination.repo if "/" in destination.repo else f"{user}/{destination.repo}"
    try:
        try:
            is_private = bool(api.repo_info(repo).private)
        except RepositoryNotFoundError:
            api.create_repo(repo, private=not destination.public, exist_ok=True)
            is_private = not destination.public
        api.auth_check(repo, write=True)
    except HfHubHTTPError as error:
        if _status(error) in _NOT_ALLOWED:
            raise PublishError(
                f"the token in HF_TOKEN, of {user}, may not write to {repo}: "
                f"give it write access at {destination.endpoint}/settings/tokens"
            ) from error
        raise
    if not is_private and not destination.public:
        raise PublishError(f"the Hub repository {repo} is public: allow that (--public), or take another")
    return repo


@contextmanager
def _session(destination: HubDestination, network: Network) -> "Iterator[HfApi]":
    """The Hub's API with this token over this network; PublishError, without the token, of what it raises."""
    try:
        import httpx2  # noqa: PLC0415
        from huggingface_hub import HfApi, close_session, set_client_factory  # noqa: PLC0415
        from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415
        from huggingface_hub.utils.tqdm import disable_progress_bars  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise PublishError(
            f"{error.name} is not installed: pip install 'luxscaler[hub]' brings it"
        ) from error

    def client() -> httpx2.Client:
        return httpx2.Client(
            follow_redirects=True,
            timeout=network.timeout,
            proxy=network.proxy or None,
            verify=_certificates(network.ca_bundle),
        )

    where = f"the Hub at {destination.endpoint}"
    log = logging.getLogger("huggingface_hub")
    with _ONE_AT_A_TIME:
        before = log.level
        log.setLevel(logging.ERROR)  # it would warn that Xet is not used
        disable_progress_bars()
        set_client_factory(client)
        try:
            yield HfApi(endpoint=destination.endpoint, token=destination.token, library_name="luxscaler")
        except HfHubHTTPError as error:
            said = _without(_said(error), destination)
            raise PublishError(f"{where} refuses, HTTP {_status(error)}: {said}") from error
        except (httpx2.HTTPError, OSError, ValueError, RuntimeError) as error:
            cause = error.__cause__ if isinstance(error, RuntimeError) else None
            said = _without(f"{error} {cause or ''}", destination)
            raise PublishError(f"{where} cannot be used: {said}") from error
        except (LookupError, TypeError) as error:  # in answers that are JSON, but not the Hub's
            raise PublishError(f"{where} gives answers that are not the Hub's") from error
        finally:
            close_session()
            log.setLevel(before)


def _certificates(ca_bundle: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_bundle) if ca_bundle else _usual_certificates()


@cache
def _usual_certificates() -> ssl.SSLContext:
    """Kept: to read them takes a quarter of a second."""
    import httpx2  # noqa: PLC0415

    return httpx2.create_ssl_context()


def _token_refused(error: Any, destination: HubDestination) -> str:
    why = "has expired" if "expired" in _said(error).lower() else "is not accepted (revoked or mistyped)"
    return (
        f"the token in HF_TOKEN {why}: make one with write access at "
        f"{destination.endpoint}/settings/tokens and set HF_TOKEN to it"
    )


def _status(error: Any) -> int:
    return int(error.response.status_code)


def _said(error: Any) -> str:
    """The server's own words."""
    try:
        content = error.response.json()
    except ValueError:
        content = None
    said = content.get("error") if isinstance(content, dict) else None
    return str(said or error.response.headers.get("x-error-message") or error.response.reason_phrase)


def _without(text: str, destination: HubDestination) -> str:
    return one_line(text.replace(destination.token, "…"))
