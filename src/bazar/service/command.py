"""The command ``bazar``: serve a bundle, manage API keys, and export for the next training.

It imports neither Kedro nor pandas. Libraries are imported when a command needs them, so that
``--help`` answers at once.
"""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import bazar
from bazar.errors import InputError

if TYPE_CHECKING:
    from bazar.service.api.server import ServerSettings
    from bazar.service.opening import OpenedBundle
    from bazar.service.store import KeyKind, LiveStore
    from bazar.serving.bundle import Bundle

_DATABASE_HELP = "URL of the database: sqlite:///FILE or postgresql://USER@HOST/NAME."
# Other accounts of the host can read a command line, but not the environment.
_DATABASE_VARIABLE = "BAZAR_DATABASE"
_add_required_database = click.option(
    "--database", required=True, envvar=_DATABASE_VARIABLE, show_envvar=True, help=_DATABASE_HELP
)


def _shorten_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make a command print a message without a traceback if the user can fix the error."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except InputError as error:
            raise click.ClickException(str(error)) from None
        except Exception as error:
            # The class is in a module that --help need not import.
            if type(error).__name__ != "StoreError":
                raise
            raise click.ClickException(str(error)) from None

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(bazar.__version__, prog_name="bazar")
def main() -> None:
    """Bazar: next-purchase recommendations for an online store."""


@main.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port; 0: any."
)
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes."
)
@click.option(
    "--database",
    envvar=_DATABASE_VARIABLE,
    show_envvar=True,
    help=f"{_DATABASE_HELP} Without it, the file live.db beside the bundles of the data set.",
)
@click.option("--rules", type=click.Path(path_type=Path), help="YAML file of business rules.")
@click.option("--config", type=click.Path(path_type=Path), help="YAML file of the other options.")
@click.option(
    "--shop", is_flag=True, help="Show the demo shop at /. Anybody can act as any customer there."
)
@_shorten_errors
def serve(
    bundle: Path,
    host: str,
    port: int,
    workers: int,
    database: str | None,
    rules: Path | None,
    config: Path | None,
    shop: bool,
) -> None:
    """Serve recommendations over HTTP from a BUNDLE.

    BUNDLE is the folder of a bundle, or data/06_models/<dataset>, whose file "current" names the
    bundle of the last finished run. The service loads a new bundle by itself.

    Without API keys, the service answers only this computer. To listen on another address, create
    a key first: bazar keys create.
    """
    run_service(bundle, host, port, workers, database, rules, config, shop)


def run_service(
    folder: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    database: str | None = None,
    rules: Path | None = None,
    config: Path | None = None,
    shop: bool = False,
) -> None:
    """Serve a bundle until SIGTERM or SIGINT.

    Args:
        folder: a bundle, or ``data/06_models/<dataset>``.
        host: address to listen on.
        port: port to listen on; 0 for any.
        workers: number of processes.
        database: URL of the database; None for :func:`find_default_database`.
        rules: YAML file of business rules; None for that of the options.
        config: YAML file of :class:`~bazar.config.service.ServiceOptions`; None for the defaults.
        shop: whether the demo shop is at ``/``.

    Raises:
        InputError: if an option, the database, the bundle or the rules cannot be used.
    """
    from bazar.service.process import prepare_process

    prepare_process()
    from bazar.config.service import ServiceOptions, read_service_options

    options = ServiceOptions() if config is None else read_service_options(config)
    if rules is not None:
        options = options.model_copy(update={"rules": rules})
    url = find_default_database(folder) if database is None else database
    with ThreadPoolExecutor(1) as pool:
        # The files are read, and the models prepared, while this thread imports the web libraries.
        opening = pool.submit(_open_files, folder, options.rules, workers)
        from bazar.service.api.security import decide_key_use
        from bazar.service.api.server import (
            ServerSettings,
            listen,
            open_loader,
            run_server,
            run_workers,
        )

        # A failed start creates no database.
        bundle, opened = opening.result()
    with _open_store(url) as store:
        uses_keys = decide_key_use(store, host, options.require_keys)
        settings = ServerSettings(folder, url, options, uses_keys, shop)
        with listen(host, port, shares_port=workers > 1) as listener:
            address = _format_address(host, listener.getsockname()[1])
            _introduce(address, settings, bundle, workers)
            if workers == 1:
                run_server(settings, open_loader(settings, store, opened), listener)
            else:
                run_workers(settings, listener, workers)


def _open_files(
    folder: Path, rules: Path | None, workers: int
) -> "tuple[Bundle, OpenedBundle | None]":
    """Open the bundle for one process. Several processes open it themselves: here, it is checked.

    Raises:
        InputError: if a file is missing, damaged or invalid.
    """
    from bazar.config.rules import read_rules
    from bazar.service.opening import open_bundle
    from bazar.serving.bundle import find_bundle, read_bundle

    if workers == 1:
        opened = open_bundle(folder, rules)
        return opened.bundle, opened
    if rules is not None:
        read_rules(rules)
    return read_bundle(find_bundle(folder)), None


def find_default_database(folder: Path) -> str:
    """Return the URL of the database if none is given.

    It is the file ``live.db`` in ``data/06_models/<dataset>``, where it survives new bundles, or
    beside a bundle that lies elsewhere.

    Args:
        folder: a bundle, or ``data/06_models/<dataset>``.

    Raises:
        InputError: if there is no bundle.
    """
    from bazar.serving.bundle import CURRENT, find_bundle

    bundle = find_bundle(folder).resolve()
    parents = [parent for parent in bundle.parents if (parent / CURRENT).is_file()]
    return f"sqlite:///{(parents or [bundle.parent])[0] / 'live.db'}"


@main.group()
def keys() -> None:
    """Create, list and revoke API keys.

    A server key may do everything; keep it out of browsers. A publishable key may only send events.
    """


@keys.command("create")
@_add_required_database
@click.option(
    "--kind",
    type=click.Choice(["server", "publishable"]),
    default="server",
    show_default=True,
    help="What the key may do.",
)
@click.option("--note", default="", help="What the key is for.")
@_shorten_errors
def create_key(database: str, kind: "KeyKind", note: str) -> None:
    """Create a key and print its secret, once."""
    with _open_store(database) as store:
        created = store.create_key(kind, note)
    click.echo(created.secret)
    click.echo(
        f"This is the {kind} key {created.key_id}. Store it now: it cannot be shown again.\n"
        "Services that were started without any key do not ask for one. Start them again.",
        err=True,
    )


@keys.command("list")
@_add_required_database
@_shorten_errors
def list_keys(database: str) -> None:
    """List all keys, without their secrets."""
    with _open_store(database) as store:
        found = store.list_keys()
    if not found:
        click.echo("There are no keys. Create one: bazar keys create")
    for key in found:
        state = "valid" if key.revoked_at is None else f"revoked {_format_time(key.revoked_at)}"
        created = _format_time(key.created_at)
        click.echo(f"{key.key_id}  {key.kind:11}  created {created}  {state}  {key.note}")


@keys.command("revoke")
@click.argument("key_id")
@_add_required_database
@_shorten_errors
def revoke_key(key_id: str, database: str) -> None:
    """Revoke the key KEY_ID. The next request with it is answered with 401."""
    with _open_store(database) as store:
        store.revoke_key(key_id)
    click.echo(f"The key {key_id} is revoked.")


@main.command("export-training")
@click.argument("folder", type=click.Path(path_type=Path))
@_add_required_database
@click.option(
    "--restored",
    is_flag=True,
    help="An older backup of the database was restored. New purchases get numbers above those of "
    "all files.",
)
@_shorten_errors
def export_training(folder: Path, database: str, restored: bool) -> None:
    """Export the purchases since the last export, and all deleted users, to a FOLDER.

    The next training reads the files. FOLDER is the folder "live" in the raw data of the shop.
    """
    from bazar.service.training_export import export_for_training

    with _open_store(database) as store:
        export = export_for_training(store, folder, restored)
    written = "no new purchases" if export.path is None else f"written to {export.path}"
    click.echo(
        f"{export.n_purchases:,} purchases ({written}), {export.n_deleted_users:,} deleted users. "
        "Next: kedro run"
    )


@contextmanager
def _open_store(url: str) -> "Iterator[LiveStore]":
    from bazar.service.store import LiveStore

    store = LiveStore(url)
    try:
        yield store
    finally:
        store.close()


def _introduce(address: str, settings: "ServerSettings", bundle: "Bundle", workers: int) -> None:
    """Print what is served, where, and the next step."""
    from sqlalchemy.engine import make_url

    from bazar.service.store.failures import show_url

    lines = {
        "address": address if workers == 1 else f"{address} ({workers} processes)",
        "bundle": f"{bundle.id} ({bundle.options.dataset}): {len(bundle.products):,} products, "
        f"{len(bundle.customers):,} customers",
        "models": ", ".join(bundle.options.models),
        "database": show_url(make_url(settings.database_url)),
        "keys": "every request needs one"
        if settings.uses_keys
        else "not needed; only this computer gets answers",
        "reference": f"{address}/docs",
    }
    if settings.has_shop:
        lines["shop"] = f"{address}/"
    for name, text in lines.items():
        click.echo(f"{name:10} {text}")
    key = " -H 'Authorization: Bearer KEY'" if settings.uses_keys else ""
    click.echo(f"\nTry it:\n  curl{key} '{address}/v1/recommendations?k=3'\n")
    sys.stdout.flush()


def _format_address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _format_time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")


if __name__ == "__main__":
    main(prog_name="bazar")
