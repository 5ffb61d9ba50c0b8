"""Reading apt's sources and choosing those that mirror Debian."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.obtain.apt_sources import Source, parse_deb822, parse_one_line, read_sources
from parity.obtain.debian_mirror import release_stanzas

MIRROR = "http://deb.example.invalid/debian"
DEB822 = f"""\
Types: deb
# http://snapshot.example.invalid/debian/20260101T000000Z
URIs: {MIRROR}
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.example.invalid/debian-security
Suites: bookworm-security
Components: main
"""


def test_machine_suite_is_replaced_and_only_main_is_kept() -> None:
    assert release_stanzas(parse_deb822(DEB822)) == [
        f"Types: deb\nURIs: {MIRROR}\nSuites: bullseye\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    ]


def test_one_line_options_become_fields() -> None:
    [source] = parse_one_line(f"deb [ arch=amd64,arm64 signed-by=/k.gpg trusted=yes ] {MIRROR} trixie main")
    assert source.options == {"architectures": "amd64 arm64", "signed-by": "/k.gpg", "trusted": "yes"}
    assert (source.uris, source.suites, source.components) == ((MIRROR,), ("trixie",), ("main",))


def test_embedded_key_survives_the_copy() -> None:
    key = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEabc=\n -----END-----\n"
    [stanza] = release_stanzas(parse_deb822(f"Types: deb\nURIs: {MIRROR}\nSuites: sid\nComponents: main\n{key}"))
    [again] = parse_deb822(stanza)
    assert again.options["signed-by"].splitlines()[1:] == key.splitlines()[1:]


@pytest.mark.parametrize(
    "line",
    [
        f"# deb {MIRROR} bookworm main",
        f"deb-src {MIRROR} bookworm main",
        f"deb {MIRROR}-security bookworm-security main",
        f"deb {MIRROR} bookworm-updates main",
        f"deb {MIRROR} bookworm contrib # main",
        "deb http://apt.example.invalid/sdk sdk-bookworm main",
        "deb http://apt.example.invalid/docker bookworm stable",
        "deb http://archive.example.invalid/ubuntu noble main",
        "deb cdrom:[Debian_12]/ bookworm main",
        "deb",
        "nonsense",
    ],
)
def test_line_that_mirrors_no_debian_release_is_left_out(line: str) -> None:
    assert release_stanzas(parse_one_line(line)) == []


@pytest.mark.parametrize(
    "change",
    [("Types: deb", "Types: deb-src"), ("Types: deb", "Enabled: no\nTypes: deb"), ("bookworm ", "noble ")],
)
def test_stanza_that_mirrors_no_debian_release_is_left_out(change: tuple[str, str]) -> None:
    assert release_stanzas(parse_deb822(DEB822.replace(*change))) == []


def test_debians_own_mirror_comes_before_a_vendor_that_uses_its_release_names() -> None:
    vendor = f"deb [signed-by=/usr/share/keyrings/vendor.gpg] {MIRROR}-vendor bookworm main"
    stanzas = release_stanzas([*parse_one_line(vendor), *parse_deb822(DEB822)])
    assert [f"URIs: {MIRROR}\n" in stanza for stanza in stanzas] == [True, False]


def test_both_formats_are_read_and_odd_names_are_passed_over(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text(f"deb {MIRROR} stable main\n")
    (parts / "debian.sources").write_text(DEB822)
    (parts / "vendor.list.disabled").write_text(f"deb {MIRROR} testing main\n")
    (parts / "unreadable.list").mkdir()
    (parts / "bytes.list").write_bytes(b"\xff\xfe\n")
    suites = [source.suites[0] for source in read_sources(tmp_path)]
    assert suites == ["stable", "bookworm", "bookworm-security"]


def test_machine_without_apt_folder_has_no_sources(tmp_path: Path) -> None:
    assert read_sources(tmp_path / "absent") == []


WORD = st.text(string.ascii_lowercase + string.digits + "-./", min_size=1, max_size=12)
WORDS = st.lists(WORD, min_size=1, max_size=3)


@given(st.text())
def test_any_text_is_parsed_without_failing(text: str) -> None:
    release_stanzas([*parse_one_line(text), *parse_deb822(text)])


@given(uri=WORD, suite=WORD, components=WORDS, arches=WORDS)
def test_both_formats_say_the_same(uri: str, suite: str, components: list[str], arches: list[str]) -> None:
    line = f"deb [arch={','.join(arches)}]  {uri}\t{suite} {' '.join(components)}"
    stanza = (
        f"types: deb deb-src\nURIS: {uri}\nSuites:\n {suite}\n"
        f"Components: {' '.join(components)}\nArchitectures: {' '.join(arches)}\n"
    )
    expected = Source((uri,), (suite,), tuple(components), {"architectures": " ".join(arches)})
    assert parse_one_line(line) == parse_deb822(stanza) == [expected]
