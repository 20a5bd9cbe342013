"""`jackfield.transport.registry`: finding transports by name among distributions, good and bad.

The distributions are real metadata in a temporary directory, with the modules that they name beside it.
"""

from __future__ import annotations

import json
import sys
import textwrap
import warnings
from collections import Counter
from collections.abc import Mapping
from datetime import date
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.cli import main
from jackfield.errors import (
    ConfigurationError,
    DuplicateTransportError,
    IncompatibleTransportError,
    JackfieldError,
    RegistryError,
    TransportUnavailableError,
    UnknownTransportError,
)
from jackfield.transport.capabilities import TransportCapabilities
from jackfield.transport.contract import CONTRACT_VERSIONS, ContractVersion, Deprecation, contract_table
from jackfield.transport.hookspecs import CONTRACT_VERSION, TransportSpec, hookimpl
from jackfield.transport.registry import Registry, TransportInfo, available_transports, default_registry

MEMBERS = [
    *("name", "capabilities", "status", "muted"),
    *("connect", "close", "send_event", "send_message", "add_image", "send_audio", "commit_audio", "clear_audio"),
    *("request_response", "update_session_config", "mute", "interrupt", "playback", "reset_history"),
    *("send_function_call_output", "send_mcp_response"),
    *("on", "once", "off", "events"),
]
"""What the contract asks of a transport, in its order."""

PLUGIN = """
    from jackfield.transport.capabilities import TransportCapabilities
    from jackfield.transport.hookspecs import TransportSpec, hookimpl

    @hookimpl
    def jackfield_transports():
        return [TransportSpec(name="pigeon", summary="By air", capabilities=TransportCapabilities(), {fields})]
"""

TRANSPORT = f"""
    class Pigeon:
        def __init__(self, *, loft="home", speed=1, **hidden):
            self.loft, self.speed = loft, speed

    for member in {MEMBERS!r}:
        setattr(Pigeon, member, None)

    def fly(*, loft="home", speed=1):
        return Pigeon(loft=loft, speed=speed)

    def fly_to(loft):
        return Pigeon(loft=loft)
"""


class Site:
    """A directory of distributions, as on `sys.path`, and a registry of what is in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reads = Counter[str]()
        self.registry = Registry(self._entry_points)

    def _entry_points(self, group: str) -> list[EntryPoint]:
        self.reads[group] += 1
        return [e for d in distributions(path=[str(self.path)]) for e in d.entry_points.select(group=group)]

    def with_contracts(self, table: Mapping[str, ContractVersion]) -> Mapping[str, TransportInfo]:
        """Have a registry for which these are the versions of the contract that there are."""
        self.registry = Registry(self._entry_points, table)
        return self.registry.transports

    def module(self, name: str, source: str) -> None:
        (self.path / f"{name}.py").write_text(textwrap.dedent(source))

    def distribution(self, name: str, version: str = "0.3", **transports: str) -> None:
        info = self.path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [f"{transport} = {value}" for transport, value in transports.items()]
        (info / "entry_points.txt").write_text("\n".join(["[jackfield]", *lines]))

    def pigeon(self, fields: str = 'factory="pigeon_transport:Pigeon"', *, source: str = PLUGIN) -> None:
        """Install jackfield-pigeon 0.3, which offers the transport `pigeon`."""
        self.module("pigeon_plugin", source.replace("{fields}", fields))
        self.module("pigeon_transport", TRANSPORT)
        self.distribution("jackfield-pigeon", pigeon="pigeon_plugin")

    def problem(self, name: str = "pigeon") -> str:
        problem = self.registry.transports[name].problem
        assert problem is not None
        return problem

    def refusal(self, error: type[JackfieldError], **options: object) -> str:
        """Return what creating `pigeon` says, which must fail with `error`."""
        with pytest.raises(error) as caught:
            self.registry.create("pigeon", **options)
        assert type(caught.value) is error
        return str(caught.value)


@pytest.fixture
def site(modules_path: Path) -> Site:
    return Site(modules_path)


def imported(*names: str) -> list[str]:
    return [name for name in names if name in sys.modules]


class TestListing:
    def test_it_imports_nothing_until_asked(self, site: Site) -> None:
        site.pigeon()
        info = site.registry.transports["pigeon"]
        assert (info.name, info.distribution, info.version) == ("pigeon", "jackfield-pigeon", "0.3")
        assert info.origins == ("jackfield-pigeon 0.3",)
        assert "pigeon" in repr(info)
        assert imported("pigeon_plugin", "pigeon_transport") == []

        assert info.spec is not None
        assert info.spec.summary == "By air"
        assert (info.installed, info.state, info.brief, info.problem) == (True, "installed", "installed", None)
        assert imported("pigeon_plugin", "pigeon_transport") == ["pigeon_plugin"]

        site.registry.create("pigeon")
        assert imported("pigeon_plugin", "pigeon_transport") == ["pigeon_plugin", "pigeon_transport"]

    def test_it_is_sorted_and_cannot_be_written(self, site: Site) -> None:
        site.distribution("birds", wren="x", auk="x", pigeon="x")
        transports = site.registry.transports
        assert list(transports) == ["auk", "pigeon", "wren"]
        with pytest.raises(TypeError):
            transports["crow"] = transports["wren"]  # type: ignore[index]

    def test_metadata_is_read_once_until_refreshed(self, site: Site) -> None:
        site.pigeon()
        for _ in range(3):
            site.registry.create("pigeon")
            assert list(site.registry.transports) == ["pigeon"]
        assert site.reads == {"jackfield": 1}

        site.distribution("birds", wren="pigeon_plugin")
        site.registry.refresh()
        assert list(site.registry.transports) == ["pigeon", "wren"]

    def test_a_plugin_is_asked_once(self, site: Site) -> None:
        site.pigeon(
            source="ASKED = []\n" + textwrap.dedent(PLUGIN).replace("    return", "    ASKED.append(1)\n    return")
        )
        for _ in range(3):
            assert site.registry.transports["pigeon"].installed
            site.registry.create("pigeon")
        assert sys.modules["pigeon_plugin"].ASKED == [1]

    def test_one_module_may_offer_several(self, site: Site) -> None:
        site.module(
            "birds",
            """
            from jackfield.transport.capabilities import TransportCapabilities
            from jackfield.transport.hookspecs import TransportSpec, hookimpl

            @hookimpl
            def jackfield_transports():
                for name in ("auk", "wren"):
                    yield TransportSpec(
                        name=name, summary=name.title(), factory="x:y", capabilities=TransportCapabilities()
                    )
            """,
        )
        site.distribution("birds", auk="birds", wren="birds")
        specs = [info.spec for info in site.registry.transports.values()]
        assert [spec and spec.summary for spec in specs] == ["Auk", "Wren"]

    def test_hooks_of_later_versions_are_no_fault(self, site: Site) -> None:
        later = textwrap.dedent(PLUGIN) + "\n@hookimpl\ndef jackfield_session_observers(session):\n    return []\n"
        site.pigeon(source=later)
        assert site.registry.transports["pigeon"].installed


class TestCreating:
    def test_options_reach_the_factory(self, site: Site) -> None:
        site.pigeon()
        transport = site.registry.create("pigeon", loft="attic", speed=3)
        assert (transport.loft, transport.speed) == ("attic", 3)  # type: ignore[attr-defined]
        assert site.registry.create("pigeon") is not site.registry.create("pigeon")

    def test_a_factory_may_be_a_callable(self, site: Site) -> None:
        site.pigeon('factory=__import__("pigeon_transport").fly')
        assert type(site.registry.create("pigeon")).__name__ == "Pigeon"

    def test_an_option_may_be_called_name(self, site: Site) -> None:
        site.pigeon()
        site.registry.create("pigeon", name="Walter")

    def test_an_unknown_option_names_the_nearest(self, site: Site) -> None:
        site.pigeon('factory="pigeon_transport:fly"')
        message = site.refusal(ConfigurationError, sped=3)
        assert "'sped'" in message
        assert "did you mean 'speed'?" in message
        assert "loft, speed" in site.refusal(ConfigurationError, zebra=3)

    def test_a_missing_option_is_named(self, site: Site) -> None:
        site.pigeon('factory="pigeon_transport:fly_to"')
        assert "'loft'" in site.refusal(ConfigurationError)

    def test_errors_of_the_factory_are_the_callers(self, site: Site) -> None:
        site.pigeon('factory="pigeon_transport:fail"')
        site.module("pigeon_transport", "def fail(): raise ZeroDivisionError('wings')")
        with pytest.raises(ZeroDivisionError, match="wings"):
            site.registry.create("pigeon")

    def test_a_module_missing_at_the_last_moment(self, site: Site) -> None:
        site.pigeon('factory="pigeon_transport:fail", extra="air"')
        site.module("pigeon_transport", "def fail(): import no_such_wings")
        message = site.refusal(TransportUnavailableError)
        assert "no_such_wings" in message
        assert "pip install --upgrade 'jackfield-pigeon[air]'" in message

    @pytest.mark.parametrize(
        ("path", "says"),
        [
            ("pigeon_transport:Dodo", "Dodo"),
            ("no_such_module:Pigeon", "no_such_module"),
            ("pigeon_transport:MEMBER", "can't be called"),
            ("explosive:Pigeon", "RuntimeError: boom"),
        ],
    )
    def test_a_factory_that_cannot_be_loaded(self, site: Site, path: str, says: str) -> None:
        site.pigeon(f'factory="{path}"')
        site.module("pigeon_transport", "MEMBER = 1")
        site.module("explosive", "raise RuntimeError('boom')")
        message = site.refusal(TransportUnavailableError)
        assert says in message
        assert "'pigeon' of jackfield-pigeon 0.3" in message
        assert "pip install --upgrade 'jackfield-pigeon'" in message


class TestWhatTheFactoryMakes:
    def make(self, monkeypatch: pytest.MonkeyPatch, made: object) -> object:
        plugin = ModuleType("pigeon_plugin_in_memory")
        capabilities = TransportCapabilities()
        spec = TransportSpec(name="pigeon", summary="", factory=lambda: made, capabilities=capabilities)
        plugin.jackfield_transports = hookimpl(lambda: [spec])  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
        return Registry(lambda group: [EntryPoint("pigeon", plugin.__name__, group)]).create("pigeon")

    @given(missing=st.sets(st.sampled_from(MEMBERS), min_size=1))
    def test_missing_members_are_all_named(self, missing: set[str]) -> None:
        made = SimpleNamespace(**dict.fromkeys(set(MEMBERS) - missing))
        with pytest.MonkeyPatch.context() as monkeypatch, pytest.raises(IncompatibleTransportError) as caught:
            self.make(monkeypatch, made)
        named = str(caught.value).partition("that has no ")[2].partition(". ")[0].split(", ")
        assert named == [member for member in MEMBERS if member in missing]

    def test_a_whole_transport_is_returned_as_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = SimpleNamespace(**dict.fromkeys(MEMBERS))
        assert self.make(monkeypatch, made) is made

    def test_properties_are_not_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def explode(_: object) -> None:
            raise RuntimeError("not connected")

        made = type("Careful", (), {**dict.fromkeys(MEMBERS), "muted": property(explode)})()
        assert self.make(monkeypatch, made) is made

    def test_a_proxy_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Proxy:
            def __getattr__(self, name: str) -> None:
                if name not in MEMBERS:
                    raise AttributeError(name)

        assert isinstance(self.make(monkeypatch, Proxy()), Proxy)

    def test_a_class_is_no_transport(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = type("Forgotten", (), dict.fromkeys(MEMBERS))
        with pytest.raises(IncompatibleTransportError, match="the class Forgotten"):
            self.make(monkeypatch, made)

    def test_a_coroutine_is_no_transport(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def factory() -> None: ...

        with pytest.raises(IncompatibleTransportError, match="coroutine"):
            self.make(monkeypatch, factory())


class TestBrokenPlugins:
    @pytest.mark.parametrize(
        ("source", "cause", "says"),
        [
            ("import no_such_wings", ModuleNotFoundError, "No module named 'no_such_wings'"),
            ("raise ValueError('moulting')", ValueError, "ValueError: moulting"),
            ("def broken(:", SyntaxError, "SyntaxError"),
            ("raise SystemExit('no licence')", SystemExit, "SystemExit: no licence"),
            (PLUGIN.replace("jackfield_transports()", "jackfield_transports(wings)"), Exception, "wings"),
            (PLUGIN.replace("return", "raise KeyError('nest')\n        return"), KeyError, "KeyError: nest"),
            (PLUGIN.replace("{fields}", "factory='nowhere'"), ValueError, "package.module:Class"),
            (PLUGIN.replace("{fields}", "factory='a:b', contract='new'"), ValueError, f'"{CONTRACT_VERSION}"'),
            (PLUGIN.replace("{fields}", "factory='a:b', requires='wings'"), ValueError, "('wings',)"),
            (PLUGIN.replace("{fields}", "factory='a:b', status='gone'"), ValueError, "status"),
            (PLUGIN.replace("{fields}", ""), ValueError, "factory"),
        ],
    )
    def test_it_is_listed_with_its_reason(self, site: Site, source: str, cause: type, says: str) -> None:
        site.pigeon(source=source)
        site.module(
            "wren_plugin", PLUGIN.replace("pigeon", "wren").replace("{fields}", "factory='pigeon_transport:fly'")
        )
        site.distribution("jackfield-wren", wren="wren_plugin")

        info = site.registry.transports["pigeon"]
        assert (info.state, info.installed, info.spec) == ("broken", False, None)
        assert info.brief.startswith("broken: ")
        for message in (site.problem(), site.refusal(TransportUnavailableError)):
            assert says in message
            assert "pigeon_plugin of jackfield-pigeon 0.3" in message
            assert "pip install --upgrade jackfield-pigeon" in message
        with pytest.raises(TransportUnavailableError) as caught:
            info.check()
        assert isinstance(caught.value.__cause__, cause)

        assert site.registry.transports["wren"].installed
        site.registry.create("wren")

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            ("", "no function jackfield_transports"),
            (PLUGIN.replace("@hookimpl", ""), "marked with @hookimpl"),
            (
                PLUGIN.replace('name="pigeon"', 'name="pidgeon"'),
                "one TransportSpec named 'pigeon', and returns 'pidgeon'",
            ),
            (
                "from jackfield.transport.hookspecs import hookimpl\n@hookimpl\ndef jackfield_transports(): return []",
                "none",
            ),
            (
                "from jackfield.transport.hookspecs import hookimpl\n@hookimpl\ndef jackfield_transports(): return [7]",
                "7",
            ),
        ],
    )
    def test_a_plugin_that_offers_something_else(self, site: Site, source: str, says: str) -> None:
        site.pigeon("factory='a:b'", source=source)
        assert says in site.problem()
        assert says in site.refusal(TransportUnavailableError)

    def test_credentials_are_not_repeated(self, site: Site) -> None:
        site.pigeon(source="raise ValueError('bad key sk-verysecret123')")
        assert "verysecret" not in site.problem()
        assert "verysecret" not in site.registry.transports["pigeon"].brief

    def test_a_refusal_is_a_registry_error_and_an_import_error(self, site: Site) -> None:
        site.pigeon(source="import no_such_wings")
        with pytest.raises(ImportError) as caught:
            site.registry.create("pigeon")
        assert isinstance(caught.value, RegistryError)


class TestRequirements:
    def test_the_extra_is_named(self, site: Site) -> None:
        site.pigeon('factory="pigeon_transport:fly", requires=("json", "no_such_wings", "no.such"), extra="air"')
        info = site.registry.transports["pigeon"]
        assert (info.state, info.brief) == ("missing", "needs jackfield-pigeon[air]")
        message = site.refusal(TransportUnavailableError)
        assert "no_such_wings, no.such" in message
        assert "json" not in message
        assert "pip install 'jackfield-pigeon[air]'" in message

    def test_another_distribution_may_bring_it(self, site: Site) -> None:
        site.pigeon('factory="a:b", requires=("no_such_wings",), distribution="wings", extra="fast"')
        assert "pip install 'wings[fast]'" in site.problem()

    def test_nothing_is_imported_to_find_out(self, site: Site) -> None:
        package = site.path / "heavy_package"
        (package / "inner").mkdir(parents=True)
        for path in (package / "__init__.py", package / "inner" / "__init__.py", package / "inner" / "leaf.py"):
            path.write_text("raise RuntimeError('imported')")
        requires = '("heavy_package", "heavy_package.inner.leaf", "os.path")'
        site.pigeon(f'factory="pigeon_transport:fly", requires={requires}')
        assert site.registry.transports["pigeon"].installed
        assert imported("heavy_package", "heavy_package.inner") == []

    @pytest.mark.parametrize("name", ["heavy.no_such_part", "json.decoder.deeper", "no_such.part"])
    def test_a_part_of_a_package_may_be_missing(self, site: Site, name: str) -> None:
        (site.path / "heavy").mkdir()
        (site.path / "heavy" / "__init__.py").touch()
        site.pigeon(f'factory="a:b", requires=("{name}",)')
        assert site.registry.transports["pigeon"].state == "missing"
        assert name in site.problem()

    def test_planned_ones_say_so(self, site: Site) -> None:
        site.pigeon('status="planned", requires=("no_such_wings",)')
        info = site.registry.transports["pigeon"]
        assert (info.state, info.brief) == ("planned", "not yet available")
        assert info.spec is not None
        assert "not yet available in jackfield-pigeon 0.3" in site.refusal(TransportUnavailableError)


class TestCollisions:
    def test_both_distributions_are_named(self, site: Site) -> None:
        site.pigeon()
        site.distribution("rock-dove", "2.1", pigeon="dove_plugin", wren="pigeon_plugin")
        info = site.registry.transports["pigeon"]
        assert (info.state, info.distribution, info.version, info.spec) == ("duplicate", None, None, None)
        assert set(info.origins) == {"jackfield-pigeon 0.3", "rock-dove 2.1"}
        for message in (info.brief, site.problem(), site.refusal(DuplicateTransportError)):
            assert "jackfield-pigeon 0.3" in message
            assert "rock-dove 2.1" in message
        assert "pip uninstall jackfield-pigeon or pip uninstall rock-dove" in site.problem()
        assert imported("pigeon_plugin", "dove_plugin") == []
        assert site.registry.transports["wren"].state == "broken"

    def test_nobody_is_told_to_uninstall_jackfield(self, site: Site) -> None:
        site.distribution("jackfield", websocket="x")
        site.distribution("squatter", websocket="y")
        assert site.problem("websocket").endswith("pip uninstall squatter")

    def test_the_same_line_found_twice_is_no_collision(self, site: Site) -> None:
        site.pigeon()
        points = next(iter(distributions(path=[str(site.path)]))).entry_points
        registry = Registry(lambda group: [*points.select(group=group), *points.select(group=group)])
        assert registry.transports["pigeon"].installed


class TestContractVersions:
    @pytest.mark.parametrize("contract", [CONTRACT_VERSION, "1.0"])
    def test_ours_is_accepted(self, site: Site, contract: str) -> None:
        site.pigeon(f'factory="pigeon_transport:fly", contract="{contract}"')
        site.registry.create("pigeon")

    @pytest.mark.parametrize(
        ("contract", "install"),
        [
            ("0.9", "pip install --upgrade 'jackfield-pigeon>0.3'"),
            ("2.0", "pip install --upgrade 'jackfield>"),
            ("1.999", "pip install --upgrade 'jackfield>"),
        ],
    )
    def test_others_are_refused_with_what_to_install(self, site: Site, contract: str, install: str) -> None:
        site.pigeon(f'factory="pigeon_transport:fly", contract="{contract}", requires=("no_such_wings",)')
        info = site.registry.transports["pigeon"]
        assert info.state == "incompatible"
        assert contract in info.brief
        message = site.refusal(IncompatibleTransportError)
        assert f"version {contract} " in message
        assert f"speaks {CONTRACT_VERSION}" in message
        assert install in message
        assert imported("pigeon_transport") == []

    @pytest.mark.parametrize(
        ("contract", "says"),
        [
            ("0.3", "which there never was (there are 1.0, 1.1)"),
            ("1.7", "Install a newer jackfield"),
            ("3.0", "Install a newer jackfield"),
        ],
    )
    def test_one_that_never_was_is_told_from_one_that_may_come(self, site: Site, contract: str, says: str) -> None:
        site.pigeon(f'factory="pigeon_transport:fly", contract="{contract}"')
        assert says in site.refusal(IncompatibleTransportError)
        assert site.registry.transports["pigeon"].notice is None

    def test_versions_are_numbers(self, site: Site) -> None:
        table = contract_table(
            [ContractVersion(version=version, since="0.1.0", changes="") for version in ("1.10", "1.9", "1.2")]
        )
        assert list(table) == ["1.2", "1.9", "1.10"]
        site.pigeon('factory="pigeon_transport:fly", contract="1.9"')
        assert site.with_contracts(table)["pigeon"].installed

    def test_ours_is_the_newest_and_every_one_says_what_it_brought(self) -> None:
        assert list(CONTRACT_VERSIONS)[-1] == CONTRACT_VERSION
        assert all(version == one.version and one.changes for version, one in CONTRACT_VERSIONS.items())

    def test_the_page_lists_every_one(self) -> None:
        page = (Path(__file__).parents[2] / "docs" / "contract-versions.md").read_text()
        rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| 1.")]
        assert rows == list(CONTRACT_VERSIONS)


class TestDeprecatedContracts:
    """No version is deprecated as yet: this is how it will be."""

    def table(self, *, refused_from: str = "999.0") -> Mapping[str, ContractVersion]:
        ending = Deprecation(
            since="0.1.0",
            announced=date(2030, 1, 1),
            refused_from=refused_from,
            not_before=date(2030, 7, 1),
            instead="answer to coo() as well.",
        )
        return contract_table(
            [
                ContractVersion(version="1.0", since="0.1.0", changes="The first one.", deprecation=ending),
                ContractVersion(version="1.1", since="0.1.0", changes="coo()"),
            ]
        )

    def site(self, site: Site, contract: str = "1.0", **how: str) -> Site:
        site.pigeon(f'factory="pigeon_transport:fly", contract="{contract}"')
        site.with_contracts(self.table(**how))
        return site

    def test_it_is_listed_with_what_to_do(self, site: Site) -> None:
        info = self.site(site).registry.transports["pigeon"]
        assert (info.state, info.installed, info.problem) == ("installed", True, None)
        assert info.brief == "installed (contract 1.0 ends)"
        assert info.notice is not None
        for said in (
            "jackfield-pigeon 0.3 speaks version 1.0 ",
            "since jackfield 0.1.0 (2030-01-01)",
            "jackfield 999.0, not before 2030-07-01, will refuse it",
            "pip install --upgrade jackfield-pigeon",
            "answer to coo() as well.",
        ):
            assert said in info.notice

    def test_the_command_line_tells(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        registry = self.site(site).registry
        monkeypatch.setattr("jackfield.cli.transports.Registry", lambda: registry)
        monkeypatch.setenv("COLUMNS", "120")
        assert main(["transports"]) == 0
        table, _, notice = capsys.readouterr().out.partition("\n\n")
        assert "installed (contract 1.0 ends)" in table
        assert " ".join(notice.split()) == f"* {registry.transports['pigeon'].notice}"
        assert main(["transports", "--json"]) == 0
        [record] = json.loads(capsys.readouterr().out)
        assert (record["state"], record["notice"]) == ("installed", registry.transports["pigeon"].notice)

    def test_creating_it_warns_once(self, site: Site) -> None:
        registry = self.site(site).registry
        with pytest.warns(DeprecationWarning, match="will refuse it") as caught:
            registry.create("pigeon")
        assert len(caught) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            registry.create("pigeon")

    def test_a_newer_one_is_not_warned_of(self, site: Site) -> None:
        registry = self.site(site, "1.1").registry
        assert registry.transports["pigeon"].notice is None
        registry.create("pigeon")

    def test_the_release_that_was_announced_refuses_it(self, site: Site) -> None:
        self.site(site, refused_from="0.1.0.1")
        assert site.registry.transports["pigeon"].installed
        site.with_contracts(self.table(refused_from="0.1.1"))
        assert site.registry.transports["pigeon"].installed
        newer = self.table()["1.0"]
        assert [newer.support(version) for version in (None, "0.1.0", "998.9", "999.0", "999.0.dev1", "1000.0")] == [
            *(["deprecated"] * 3),
            *(["refused"] * 3),
        ]

    def test_what_is_refused_says_since_when(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("jackfield.transport.installed.installed_version", lambda _: "999.1")
        message = self.site(site).refusal(IncompatibleTransportError)
        assert "speaks version 1.0 of the transport contract, which jackfield speaks no more since 999.0" in message
        assert "pip install --upgrade 'jackfield-pigeon>0.3'" in message
        assert site.registry.transports["pigeon"].notice is None

    def test_the_policy_is_kept(self) -> None:
        known = {"since": "0.5.0", "announced": date(2030, 1, 1), "instead": "x"}
        with pytest.raises(ValueError, match="180 days"):
            Deprecation(**known, refused_from="0.7.0", not_before=date(2030, 6, 1))
        with pytest.raises(ValueError, match="later"):
            Deprecation(**known, refused_from="0.5.0", not_before=date(2031, 1, 1))


class TestUnknownNames:
    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("pidgeon", "did you mean 'pigeon'?"),
            ("Pigeon", "did you mean 'pigeon'?"),
            ("gemini", "pip install jackfield-gemini"),
            ("gemni", "did you mean 'gemini'? It comes with: pip install jackfield-gemini"),
            ("websocket", "pip install jackfield"),
            ("smoke-signals", "there are pigeon."),
        ],
    )
    def test_it_says_what_to_do(self, site: Site, name: str, says: str) -> None:
        site.pigeon()
        with pytest.raises(UnknownTransportError) as caught:
            site.registry.create(name)
        assert says in str(caught.value)
        assert isinstance(caught.value, LookupError)
        assert imported("pigeon_plugin") == []

    def test_with_nothing_installed(self, site: Site) -> None:
        with pytest.raises(UnknownTransportError, match="there are none"):
            site.registry.create("smoke-signals")


class TestBuiltIn:
    def test_all_four_are_listed_by_this_distribution(self) -> None:
        transports = available_transports()
        assert {"websocket", "azure", "webrtc", "sip"} <= set(transports)
        for name in ("websocket", "azure", "webrtc", "sip"):
            assert transports[name].distribution == "jackfield"
            assert transports[name].spec is not None
        assert default_registry().transports is transports

    @pytest.mark.parametrize("name", ["websocket", "azure"])
    def test_these_are_ready(self, name: str) -> None:
        spec = available_transports()[name].check()
        assert spec.contract == CONTRACT_VERSION
        assert (spec.capabilities.audio_in, spec.capabilities.audio_out) == (True, True)
        assert (spec.capabilities.mute, spec.capabilities.local_media) == (False, False)
        assert (spec.capabilities.playback, spec.capabilities.truncate) == ("client", "client")

    def test_webrtc_is_ready(self) -> None:
        capabilities = available_transports()["webrtc"].check().capabilities
        assert (capabilities.audio_in, capabilities.audio_out) == (True, True)
        assert (capabilities.mute, capabilities.local_media, capabilities.dtmf) == (True, True, True)
        assert (capabilities.playback, capabilities.truncate) == ("server", "server")

    def test_sip_is_ready(self) -> None:
        capabilities = available_transports()["sip"].check().capabilities
        assert (capabilities.audio_in, capabilities.audio_out) == (False, False)
        assert (capabilities.attach_by_call_id, capabilities.dtmf) == (True, True)
        assert (capabilities.playback, capabilities.truncate) == ("server", "server")
