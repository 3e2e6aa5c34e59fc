"""`luxscaler server`: options, environment and password, then a running console.

Its libraries, the extra `console`, are imported only when it runs.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from luxscaler.cli.terminal import err, one_line_errors, out, show_log
from luxscaler.errors import ConsoleError

PASSWORD_VARIABLE = "LUXSCALER_CONSOLE_PASSWORD"  # noqa: S105 - a variable's name
DEFAULT_DATA = Path("~/.local/share/luxscaler/console")


def server(
    host: Annotated[
        str, typer.Option(help="Address to listen on; another one needs a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
    data: Annotated[
        Path, typer.Option(help="Folder of the database, the token and the results.")
    ] = DEFAULT_DATA,
    password_file: Annotated[
        Path | None, typer.Option(help=f"File with the password; {PASSWORD_VARIABLE} is another way.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Name by which browsers may call it; may be repeated.")
    ] = None,
    folder: Annotated[
        list[Path] | None,
        typer.Option(help="Folder that jobs may be made from; may be repeated. Your home if none."),
    ] = None,
) -> None:
    """Run the console until it is told to stop."""
    with one_line_errors():
        try:
            from luxscaler.console import server as console  # noqa: PLC0415
            from luxscaler.console import settings  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ConsoleError(
                f"{error.name} is not installed: pip install 'luxscaler[console]' brings it"
            ) from error
        from luxscaler.replicate.api import DEFAULT_BASE_URL, checked_base_url  # noqa: PLC0415

        password = _read(password_file) if password_file else os.environ.get(PASSWORD_VARIABLE, "")
        chosen = settings.Settings(
            data.expanduser(),
            host=host,
            port=port,
            password=password,
            allowed_hosts=tuple(allow_host or ()),
            folders=tuple(path.expanduser() for path in folder) if folder else (Path.home(),),
            environment_token=os.environ.get("REPLICATE_API_TOKEN", ""),
            delivery_environment={
                name: value for name, value in os.environ.items() if name.startswith(("HF_", "AWS_"))
            },
            base_url=checked_base_url(os.environ.get("REPLICATE_BASE_URL") or DEFAULT_BASE_URL),
        )
        show_log("luxscaler.console")
        console.serve(chosen, lambda: out.print(f"READY {chosen.url}", soft_wrap=True, markup=False))
        err.print("the console has stopped")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ConsoleError(f"cannot read the password file {str(path)!r}: {reason}") from error
