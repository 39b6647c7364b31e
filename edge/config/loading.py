"""Finding and reading the configuration file; nothing else reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from edge import places
from edge.config import sections
from edge.config.values import Config
from edge.errors import ConfigErrors, Problem
from edge.settings import Problems, Reader
from edge.yamlfile import load_yaml, read_text

CONFIG_FILE = Path("config/edge.yaml")

_NOT_YET = {"hooks": "webhooks", "limits": "limits"}


def find_config(given: str | None, environ: Mapping[str, str], folder: Path = Path()) -> Path:
    """Give the file to read: the one given, else $EDGE_CONFIG, else config/edge.yaml in the working folder.

    Raises:
        ConfigErrors: there is no such file; the message says what was looked for and how to name another.
    """
    named, source = (given, "--config") if given else (environ.get("EDGE_CONFIG"), "EDGE_CONFIG")
    path = folder / (named or CONFIG_FILE)
    if path.is_file():
        return path
    where = f"{source} names it" if named else "looked for because neither --config nor EDGE_CONFIG names another"
    raise ConfigErrors([Problem(str(path), 0, "", f"there is no such file; {where}")])


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file says as far as it can be read, with its problems; `pipelines` is None where it cannot be known."""

    problems: tuple[Problem, ...]
    config: Config | None = None
    pipelines: Path | None = None


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Read a configuration file; raises ConfigErrors with every problem in it."""
    return parse_config(read_text(path), path, environ)


def survey_config(path: Path, environ: Mapping[str, str]) -> Survey:
    """Read a configuration file as far as that goes, so that what it leads to can be looked at too."""
    problems = Problems(str(path))
    try:
        config, is_known = _read(read_text(path), path, environ, problems)
    except ConfigErrors as errors:
        return Survey(errors.problems)
    found = tuple(problems.in_order())
    return Survey(found, None if found else config, config.pipelines if is_known else None)


def parse_config(text: str, file: Path, environ: Mapping[str, str]) -> Config:
    """Read a configuration from its text.

    Args:
        text: what the file holds; keys left out have the defaults of `edge.config.values`.
        file: where it stands; relative paths in it are relative to its folder.
        environ: where `${NAME}` is looked up.
    Raises:
        ConfigErrors: with every problem found.
    Source:
        docs/configuration.md.
    """
    problems = Problems(str(file))
    config, _ = _read(text, file, environ, problems)
    problems.raise_if_any()
    return config


def _read(text: str, file: Path, environ: Mapping[str, str], problems: Problems) -> tuple[Config, bool]:
    """Give what could be read, harmless values for the rest, and whether the pipelines' folder is the one meant."""
    folder = file.absolute().parent
    reader = Reader(load_yaml(text, str(file), environ, problems), "", problems)
    path = partial(places.parse_path, folder=folder)
    config = Config(
        file=file,
        data_dir=reader.parsed("data_dir", path, path("../var")),
        pipelines=reader.parsed("pipelines", path, path("../pipelines")),
        site=sections.site(site := reader.section("site")),
        spool=sections.spool(reader.section("spool")),
        collector=sections.collector(collector := reader.section("collector"), folder),
        cookie=sections.cookie(cookie := reader.section("cookie")),
        ops=sections.ops(ops := reader.section("ops")),
        identity=sections.identity(reader.section("identity")),
        consent=sections.consent(reader.section("consent")),
        drainer=sections.drainer(reader.section("drainer")),
        write_keys=sections.write_keys(reader),
        alerts=sections.alerts(reader.section("alerts")),
    )
    for key, subject in _NOT_YET.items():
        _not_yet(reader, key, subject)
    if config.ops.listen == config.collector.listen and config.ops.listen[2] != 0:
        _refuse_one_listener(collector, ops)
    _refuse_foreign_domain(cookie, site, config)
    reader.done()
    return config, not reader.is_unread("pipelines")


def _refuse_one_listener(collector: Reader, ops: Reader) -> None:
    """Say that both sections name one address, at the one that is written; of what could not be read, nothing."""
    if collector.is_unread("listen") or ops.is_unread("listen"):
        return
    if ops.node("listen") is not None:
        ops.refuse("listen", "is the collector's address as well; accepted is one of its own")
    else:
        collector.refuse("listen", "is the address of ops.listen as well; accepted is one of its own")


def _refuse_foreign_domain(cookie: Reader, site: Reader, config: Config) -> None:
    """Say that no page of the shop may have a cookie of this domain; hosts of one site share their last two labels."""
    if config.cookie.domain is None or site.node("origins") is None or site.is_unread("origins"):
        return
    hosts = [urlsplit(origin).hostname or "" for origin in config.site.origins]
    if config.cookie.domain.split(".")[-2:] not in [host.split(".")[-2:] for host in hosts]:
        what = "is no domain of site.origins, so that no browser keeps the cookie"
        cookie.refuse("domain", f"{what}; accepted is one of theirs, such as shop.example for https://www.shop.example")


def _not_yet(reader: Reader, key: str, subject: str) -> None:
    """Accept a key that has a place in the file but no effect in this version, as long as nothing relies on it."""
    node = reader.node(key)
    if node is not None and node.value not in (None, [], {}):
        what = f"this version has no {subject} to configure, so what stands here would do nothing"
        reader.refuse(key, f"{what}; accepted is an empty {key} or none")
