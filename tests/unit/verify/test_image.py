"""Each rule of images: the smallest image that breaks it, and one that does not; and how far a broken one is read."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.images import (
    BASE_TAR,
    INDEX,
    LAYER,
    MANIFEST,
    TOP_TAR,
    Edit,
    Layout,
    digest,
    docker_members,
    layout,
    members,
    tar,
)
from tests.registry_model import HOST, Bytes, Fault, Model, put_layout, reach
from tests.tars import BASE, M, build
from wclayer.codes import Code
from wclayer.errors import NotFoundError, RemoteError, UsageError, WclayerError
from wclayer.images.choosing import ImageSelector
from wclayer.images.reading import open_images
from wclayer.operations.layer_places import LayerPlaces, parse_layer_place
from wclayer.verify.findings import Report
from wclayer.verify.rules import RULES, Severity, Target
from wclayer.verify.rules.image import IMAGE_RULES
from wclayer.verify.verifying import verify_layers

Make: TypeAlias = Callable[[Path], str]  # makes an image in a folder; its place

IMAGE_CODES = frozenset(rule.code for rule in IMAGE_RULES)
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
NOT_THERE = digest(b"not there")


def verify(place: str, *targets: Target, selector: ImageSelector | None = None) -> Report:
    return verify_layers(
        LayerPlaces(selector=selector), parse_layer_place(place), targets=frozenset(targets) or frozenset(Target)
    )


def image_codes(report: Report) -> list[Code]:
    """The rules of images that are broken; what is wrong inside of the layers is others' to test."""
    return [finding.rule.code for finding in report.findings if finding.rule.code in IMAGE_CODES]


# --- what makes images -----------------------------------------------------------


def of(layers: list[bytes] | None = None, **more: Any) -> Make:
    """An image whose documents are edited."""
    return lambda folder: f"oci:{layout(folder / 'd', [BASE_TAR] if layers is None else layers, **more)}:t"


def config(edit: Edit, **more: Any) -> Make:
    return of(config=edit, **more)


def manifest(edit: Edit, **more: Any) -> Make:
    return of(manifest=edit, **more)


def spoilt(spoil: Callable[[Path], object], **more: Any) -> Make:
    """An image of which a file is then spoilt."""

    def make(folder: Path) -> str:
        place = of(**more)(folder)
        spoil(folder / "d")
        return place

    return make


def blob(data: bytes) -> Callable[[Path], Path]:
    """Where the blob of these bytes is in a layout."""
    return lambda folder: folder / "blobs" / "sha256" / digest(data).partition(":")[2]


def indexed(edit: Callable[[list[dict[str, Any]]], object], *versions: str | None) -> Make:
    """An index of images of these os.versions, its descriptors edited."""

    def make(folder: Path) -> str:
        made = Layout(folder / "d")
        found = [made.image(os_version=version) for version in versions or ("10.0.20348.1",)]
        edit(found)
        made.tag(made.index(found))
        return f"oci:{made.write()}:t"

    return make


def archive(found: list[tuple[str, bytes] | Any], transport: str = "oci-archive") -> Make:
    def make(folder: Path) -> str:
        (folder / "a.tar").write_bytes(tar(found))
        return f"{transport}:{folder / 'a.tar'}"

    return make


def packed(folder: Path) -> str:
    """A good layout in an archive."""
    return archive(members(layout(folder / "d")))(folder)


def cut(folder: Path) -> str:
    place = packed(folder)
    data = (folder / "a.tar").read_bytes()
    (folder / "a.tar").write_bytes(data[: len(data) // 2])
    return place


def index_in_index(folder: Path) -> str:
    made = Layout(folder / "d")
    made.tag(made.index([made.image(), made.index([made.image()])]))
    return f"oci:{made.write()}:t"


def wrong_root(media_type: str) -> Make:
    def make(folder: Path) -> str:
        made = Layout(folder / "d")
        made.tag({**made.image(), "mediaType": media_type})
        return f"oci:{made.write()}:t"

    return make


def put(key: str, value: object) -> Edit:
    return lambda document: document.update({key: value})


def put_below(first: str, key: str, value: object) -> Edit:
    return lambda document: document[first].update({key: value})


def put_layer(**changes: object) -> Edit:
    return lambda document: document["layers"][0].update(changes)


def history(*entries: dict[str, Any]) -> Edit:
    return put("history", list(entries))


def layers_of(count: int) -> Make:
    return of([BASE_TAR, *[TOP_TAR] * (count - 1)])


def other_bytes(data: bytes) -> bytes:
    """The same length, and the same tar in it: the gzip header's time is no content."""
    packed = bytearray(gzip.compress(data, mtime=0))
    packed[4] ^= 1
    return bytes(packed)


PACKED = gzip.compress(BASE_TAR, mtime=0)

# --- the rules -------------------------------------------------------------------

good: Make = of(gzipped=True)

CASES: list[tuple[Code, Make, Make]] = [
    (Code.IMAGE_INVALID, wrong_root("text/plain"), wrong_root(MANIFEST)),
    (Code.IMAGE_INVALID, index_in_index, indexed(lambda _: None)),
    (Code.LAYOUT_MISSING, spoilt(lambda folder: (folder / "oci-layout").unlink()), good),
    (
        Code.LAYOUT_MISSING,
        spoilt(lambda folder: (folder / "oci-layout").write_text('{"imageLayoutVersion": "0.9"}')),
        spoilt(lambda folder: (folder / "oci-layout").write_text(' {"imageLayoutVersion":"1.0.0", "more": 1}')),
    ),
    (Code.LAYOUT_MISSING, spoilt(lambda folder: (folder / "index.json").unlink()), good),
    (Code.DOCUMENT_MALFORMED, spoilt(lambda folder: (folder / "index.json").write_text('{"schemaVersion": 2')), good),
    (Code.DOCUMENT_MALFORMED, manifest(put("schemaVersion", 1)), manifest(put("unknown", 1))),
    (Code.DOCUMENT_MALFORMED, manifest(put("annotations", {"a": 1})), manifest(put("annotations", {"a": "1"}))),
    (Code.DOCUMENT_MALFORMED, manifest(put_layer(digest="sha256:00")), good),
    (Code.DOCUMENT_MALFORMED, config(put_below("rootfs", "diff_ids", ["sha256:00"])), good),
    (Code.DOCUMENT_MALFORMED, config(put("os.features", "win32k")), config(put("os.features", ["win32k"]))),
    (Code.BLOB_MISSING, spoilt(lambda folder: blob(BASE_TAR)(folder).unlink()), good),
    (Code.BLOB_MISSING, manifest(put_below("config", "digest", NOT_THERE)), good),
    (Code.BLOB_MISSING, archive(docker_members()[:-1], "docker-archive"), archive(docker_members(), "docker-archive")),
    (Code.BLOB_SIZE, manifest(put_layer(size=len(BASE_TAR) - 1)), manifest(put_layer(size=len(BASE_TAR)))),
    (Code.BLOB_SIZE, manifest(put_below("config", "size", 1)), good),
    (Code.BLOB_SIZE, spoilt(lambda folder: blob(BASE_TAR)(folder).write_bytes(BASE_TAR + bytes(512))), good),
    (
        Code.BLOB_DIGEST,
        spoilt(lambda folder: blob(PACKED)(folder).write_bytes(other_bytes(BASE_TAR)), gzipped=True),
        spoilt(lambda folder: blob(PACKED)(folder).write_bytes(PACKED), gzipped=True),
    ),
    (Code.DIFF_ID, config(put_below("rootfs", "diff_ids", [digest(TOP_TAR)])), good),
    (Code.DIFF_ID, archive([*docker_members()[:-1], ("0/layer.tar", TOP_TAR)], "docker-archive"), good),
    (Code.DIFF_ID_COUNT, config(put_below("rootfs", "diff_ids", [digest(BASE_TAR)] * 2)), good),
    (Code.DIFF_ID_COUNT, config(put_below("rootfs", "diff_ids", [])), good),
    (Code.ROOTFS_TYPE, config(put_below("rootfs", "type", "layers+base")), good),
    (Code.ROOTFS_TYPE, config(lambda value: value["rootfs"].pop("type")), good),
    (Code.OS_NOT_WINDOWS, config(put("os", "linux"), os_version=None), good),
    (
        Code.OS_NOT_WINDOWS,
        indexed(lambda found: found[0]["platform"].update(os="linux")),
        indexed(lambda found: found.append({**found[0], "platform": {"os": "linux", "architecture": "amd64"}})),
    ),
    (Code.HISTORY, config(history({"created_by": "one"}, {"created_by": "two"})), config(history())),
    (Code.HISTORY, config(history({"empty_layer": True})), config(history({"empty_layer": True}, {}))),
    (Code.HISTORY, config(history({"empty_layer": "no"})), config(history({"empty_layer": False}))),
    (Code.HISTORY, config(history({"comment": 1})), config(history({"comment": "1"}))),
    (Code.DATE, config(put("created", "2024-01-31 12:00:00")), config(put("created", "2024-01-31T12:00:00+02:00"))),
    (Code.DATE, config(history({"created": "yesterday"})), config(history({"created": "2024-02-29T00:00:00.123Z"}))),
    (
        Code.INDEX_PLATFORM,
        indexed(lambda found: found[0]["platform"].update({"os.version": "10.0.20348.2"})),
        indexed(lambda found: found[0]["platform"].pop("os.version")),
    ),
    (Code.INDEX_PLATFORM, indexed(lambda found: found[0]["platform"].update(architecture="arm64")), good),
    (Code.MEDIA_TYPE, manifest(put("mediaType", INDEX)), manifest(lambda value: value.pop("mediaType"))),
    (Code.MEDIA_TYPE, manifest(put_below("config", "mediaType", "application/json")), good),
    (
        Code.MEDIA_TYPE,
        manifest(put_layer(mediaType=LAYER + "+xz")),
        manifest(put_layer(mediaType="application/vnd.docker.image.rootfs.diff.tar")),
    ),
    (Code.COMPRESSION_OTHER, manifest(put_layer(mediaType=LAYER + "+gzip")), good),
    (Code.COMPRESSION_OTHER, manifest(put_layer(mediaType=LAYER), gzipped=True), good),
    (Code.COMPRESSION_OTHER, manifest(put_layer(mediaType=LAYER + "+zstd"), gzipped=True), good),
    (Code.TOO_MANY_LAYERS, layers_of(128), layers_of(127)),
    (
        Code.FOREIGN_LAYER,
        manifest(put_layer(mediaType=FOREIGN, digest=NOT_THERE, urls=["https://example.com/a"])),
        manifest(put_layer(mediaType=FOREIGN, urls=["https://example.com/a"]), gzipped=True),
    ),
    (Code.OS_VERSION_MALFORMED, of(os_version="10.0.x"), of(os_version="10.0.20348")),
    (Code.OS_VERSION_MALFORMED, of(os_version="ltsc2022"), of(os_version=None)),
    (Code.OS_VERSION_REFUSED, of(os_version="10.0.20349"), of(os_version="10.0.20348.4")),
    (Code.NO_BASE_LAYER, of([]), good),
    (Code.ARCHIVE_BROKEN, cut, packed),
    (Code.ARCHIVE_BROKEN, archive([("oci-layout", b""), ("oci-layout", b"")]), packed),
    (Code.ARCHIVE_BROKEN, archive([("../oci-layout", b"")]), packed),
]


def refused(place: str) -> WclayerError | None:
    """The error with which reading all of the images at a place ends, as whoever copies or imports them does."""
    try:
        with open_images(place) as images:
            for image in images:
                for layer in image.layers:
                    for _ in layer.source().entries():
                        pass
    except WclayerError as error:
        return error
    return None


@pytest.mark.parametrize(("code", "bad", "fine"), CASES, ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)])
def test_a_rule(tmp_path: Path, code: Code, bad: Make, fine: Make) -> None:
    for name, make in (("bad", bad), ("fine", fine)):
        (tmp_path / name).mkdir()
        place = make(tmp_path / name)
        report = verify(place, *(set(Target) - {Target.WS2019}) if code is Code.OS_VERSION_REFUSED else ())
        assert set(image_codes(report)) == ({code} if name == "bad" else set()), report.findings
        assert all(finding.layer.startswith(place) for finding in report.findings)
        # What verify says of the import is what reading the image does.
        error = refused(place)
        assert (error is not None) == (name == "bad" and not RULES[code].imports), error
        # In a docker-archive the digest of a plain layer is its diff_id.
        same = {code, Code.BLOB_DIGEST} if code is Code.DIFF_ID and place.startswith("docker-archive:") else {code}
        assert error is None or error.broken_rule in same


def test_all_rules_of_images_are_tested() -> None:
    assert {code for code, _, _ in CASES} == IMAGE_CODES == {code for code in Code if code.startswith("WCL6")}


# --- ten layouts with one fault each ---------------------------------------------

BROKEN_LAYOUTS: dict[str, tuple[Code, Make]] = {
    "digest": (
        Code.BLOB_DIGEST,
        spoilt(lambda folder: blob(PACKED)(folder).write_bytes(other_bytes(BASE_TAR)), gzipped=True),
    ),
    "diff_id": (Code.DIFF_ID, config(put_below("rootfs", "diff_ids", [digest(TOP_TAR)]))),
    "size": (Code.BLOB_SIZE, manifest(put_layer(size=7))),
    "count": (Code.DIFF_ID_COUNT, config(put_below("rootfs", "diff_ids", [digest(BASE_TAR), digest(TOP_TAR)]))),
    "os": (Code.OS_NOT_WINDOWS, spoilt(lambda _: None, config=put("os", "linux"), os_version=None)),
    "rootfs.type": (Code.ROOTFS_TYPE, config(put_below("rootfs", "type", "base"))),
    "history": (Code.HISTORY, config(history({"empty_layer": True}))),
    "date": (Code.DATE, config(put("created", "31.1.2024"))),
    "oci-layout": (Code.LAYOUT_MISSING, spoilt(lambda folder: (folder / "oci-layout").unlink())),
    "platform": (Code.INDEX_PLATFORM, indexed(lambda found: found[0]["platform"].update({"os.version": "10.0.1.1"}))),
}


@pytest.mark.parametrize("fault", BROKEN_LAYOUTS)
def test_a_layout_with_one_fault(tmp_path: Path, fault: str) -> None:
    code, make = BROKEN_LAYOUTS[fault]
    report = verify(make(tmp_path))
    errors = [one.rule.code for one in report.findings if one.severity is Severity.ERROR]
    assert [one for one in errors if one in IMAGE_CODES] == [code]
    assert not report.passed
    assert report.stopped == {}
    assert len(report.read) == 1  # its layer was looked into all the same


# --- how far ----------------------------------------------------------------------


def test_everything_that_is_wrong_is_found_at_once(tmp_path: Path) -> None:
    def spoil(value: dict[str, Any]) -> None:
        value.update({"os": "linux", "created": "now", "history": [{"created": "then"}, {}, {"comment": 3}]})
        value["rootfs"].update({"type": "none", "diff_ids": []})

    bad = build([*BASE, M("elsewhere")])
    place = of([bad], config=spoil, manifest=put_below("config", "size", 1))(tmp_path)
    (tmp_path / "d" / "oci-layout").unlink()
    report = verify(place)
    assert sorted(finding.rule.code for finding in report.findings if finding.severity is Severity.ERROR) == sorted(
        [
            Code.LAYOUT_MISSING,
            Code.BLOB_SIZE,
            Code.OS_NOT_WINDOWS,
            Code.DATE,
            Code.ROOTFS_TYPE,
            Code.DIFF_ID_COUNT,
            Code.DATE,
            Code.HISTORY,
            Code.HISTORY,
            Code.OUTSIDE_ROOTS,
            *[Code.HIVE_MISSING] * 5,
        ]
    )
    assert [one.layer for one in report.findings if one.rule.code is Code.OUTSIDE_ROOTS] == [f"{place}#0"]


def test_a_layer_that_breaks_off_is_also_held_against_its_digest(tmp_path: Path) -> None:
    place = of([BASE_TAR, TOP_TAR])(tmp_path)
    blob(BASE_TAR)(tmp_path / "d").write_bytes(BASE_TAR[:700])
    report = verify(place)
    found = [(one.layer, one.rule.code) for one in report.findings if one.severity is Severity.ERROR]
    assert (f"{place}#0", Code.BLOB_SIZE) in found
    assert (f"{place}#0", Code.TAR_CUT_OFF) in found
    assert list(report.stopped) == [f"{place}#0"]
    assert report.read == [f"{place}#0", f"{place}#1"]


def test_without_a_layer_nothing_is_said_of_what_it_may_have(tmp_path: Path) -> None:
    top = build([*BASE, M("Files/.wh.gone"), M("Files/link", type="1", link="Files/f")])
    place = of([BASE_TAR, top], manifest=put_layer(digest=NOT_THERE))(tmp_path)
    codes = [one.rule.code for one in verify(place).findings]
    assert Code.BLOB_MISSING in codes
    assert not {Code.LINK_TO_NOTHING, Code.WHITEOUT_OF_NOTHING} & set(codes)
    whole = of([BASE_TAR, build([*BASE, M("Files/.wh.gone"), M("Files/link", type="1", link="Files/none")])])
    (tmp_path / "2").mkdir()
    assert {Code.LINK_TO_NOTHING, Code.WHITEOUT_OF_NOTHING} <= {
        one.rule.code for one in verify(whole(tmp_path / "2")).findings
    }


def test_it_says_where_no_layer_can_be_read(tmp_path: Path) -> None:
    place = of()(tmp_path)
    (tmp_path / "d" / "index.json").write_text("{")
    report = verify(place)
    assert image_codes(report) == [Code.DOCUMENT_MALFORMED]
    assert report.stopped == {place: "no layer of it can be read"}
    assert report.read == []


def test_a_manifest_of_another_digest_is_read_all_the_same(tmp_path: Path) -> None:
    made = Layout(tmp_path / "d")
    found = made.image(config=put("created", "now"))
    made.tag(found)
    made.write()
    path = made.path(found["digest"])
    path.write_bytes(path.read_bytes().replace(b": 2,", b" :2,"))
    assert image_codes(verify(f"oci:{tmp_path / 'd'}:t")) == [Code.BLOB_DIGEST, Code.DATE]


def test_a_tag_that_leads_elsewhere_is_still_looked_into(tmp_path: Path) -> None:
    made = Layout(tmp_path / "d")
    found = [{**made.image(os_version="10.0.20348.1", config=put("created", "now"))}]
    made.tag({**made.index(found), "mediaType": "application/json"})
    made.write()
    assert image_codes(verify(f"oci:{tmp_path / 'd'}:t")) == [Code.IMAGE_INVALID, Code.DATE]


# --- which images, and where they run ---------------------------------------------


def test_all_windows_images_of_an_index_or_the_one_that_is_chosen(tmp_path: Path) -> None:
    def spoil(found: list[dict[str, Any]]) -> None:
        found[1]["platform"]["os.version"] = "10.0.20348.7"

    place = indexed(spoil, "10.0.17763.1", "10.0.20348.1")(tmp_path)
    report = verify(place)
    named = [f"{place}#0 (windows/amd64:10.0.{version})" for version in ("17763.1", "20348.7")]
    assert report.read == named
    wrong = [one for one in report.findings if one.rule.code is Code.INDEX_PLATFORM]
    assert [one.layer for one in wrong] == [f"{place} (windows/amd64:10.0.20348.7)"]
    assert image_codes(verify(place, selector=ImageSelector(os_version="10.0.17763"))) == []
    assert verify(place, selector=ImageSelector(os_version="10.0.17763")).read == [f"{place}#0"]
    with pytest.raises(NotFoundError, match="no image of this"):
        verify(place, selector=ImageSelector(os_version="10.0.26100"))
    with pytest.raises(UsageError, match="which image of the index"):
        verify(f"{place}#0")


@pytest.mark.parametrize(
    ("version", "targets", "refusing"),
    [
        ("10.0.17763.1", [Target.WS2019], []),
        ("10.0.17763", [Target.WS2019], []),
        ("10.0.18362.1", [Target.WS2019], [Target.WS2019]),
        ("10.0.17763.1", [Target.WS2022], [Target.WS2022]),
        ("10.0.20348.1", [Target.WS2022], []),
        ("10.0.20348.1", [Target.WS2025, Target.WIN11], []),
        ("10.0.25398.1", [Target.WS2022, Target.WS2025], [Target.WS2022]),
        ("10.0.26100.1", [Target.WS2022], [Target.WS2022]),
        ("10.0.26101.1", [Target.WS2025], [Target.WS2025]),
        ("11.0.26100.1", [Target.WS2025], [Target.WS2025]),
        ("10.0.26100.1", [Target.DOCKER, Target.CONTAINERD], []),
        ("10.0.14393.1", [], []),
        (None, [Target.WS2019, Target.WS2022, Target.WS2025, Target.WIN11], []),
    ],
)
def test_hosts(tmp_path: Path, version: str | None, targets: list[Target], refusing: list[Target]) -> None:
    report = verify(of(os_version=version)(tmp_path), *targets)
    found = [finding for finding in report.findings if finding.rule.code is Code.OS_VERSION_REFUSED]
    assert [finding.message for finding in found] == [f"a host of {target} does not run it" for target in refusing]


def test_one_image_of_an_index_is_enough_for_a_host(tmp_path: Path) -> None:
    place = indexed(lambda _: None, "10.0.17763.1", "10.0.20348.1")(tmp_path)
    assert image_codes(verify(place, Target.WS2019, Target.WS2022, Target.WS2025)) == []
    lonely = indexed(lambda _: None, "10.0.17763.1", "10.0.26100.1")
    (tmp_path / "2").mkdir()
    found = verify(lonely(tmp_path / "2"), Target.WS2019, Target.WS2022, Target.WS2025).findings
    assert [one.message for one in found if one.rule.code in IMAGE_CODES] == ["a host of ws2022 does not run it"]


def test_an_image_of_an_index_that_cannot_be_read_may_be_the_one_for_a_host(tmp_path: Path) -> None:
    def two(folder: Path, edit: Callable[[dict[str, Any]], object] = lambda _: None, spoil: bool = True) -> str:
        made = Layout(folder)
        found = [made.image(os_version=f"10.0.{build}.1") for build in (17763, 20348)]
        if spoil:
            made.path(found[1]["digest"]).unlink()
        edit(found[1])
        made.tag(made.index(found))
        return f"oci:{made.write()}:t"

    found = image_codes(verify(two(tmp_path / "1"), Target.WS2019, Target.WS2022))
    assert found == [Code.BLOB_MISSING]
    found = image_codes(verify(two(tmp_path / "2"), Target.WS2025, Target.WS2022))
    assert found == [Code.BLOB_MISSING]
    assert image_codes(verify(two(tmp_path / "3"), Target.WIN11)) == [Code.BLOB_MISSING]
    # 25398, say, would run on none of them but the latest.
    other = two(tmp_path / "4", lambda one: one["platform"].update({"os.version": "10.0.25398.1"}))
    report = verify(other, Target.WS2022, Target.WS2025)
    assert image_codes(report) == [Code.BLOB_MISSING, Code.OS_VERSION_REFUSED]
    assert report.findings[1].got == "10.0.17763.1, 10.0.25398.1"
    # Nobody knows what this one is.
    nameless = two(tmp_path / "5", lambda one: one.pop("platform"))
    assert image_codes(verify(nameless, Target.WS2022)) == [Code.BLOB_MISSING]
    # The config goes before the index where it can be read.
    wrong = two(tmp_path / "6", lambda one: one["platform"].update({"os.version": "10.0.26100.1"}), spoil=False)
    assert Code.OS_VERSION_REFUSED not in image_codes(verify(wrong, Target.WS2022))


@pytest.mark.parametrize(
    ("images", "targets", "messages"),
    [
        (["amd64:17763", "arm64:26100"], [Target.WS2025], ["a host of ws2025 (amd64) does not run it"]),
        (["amd64:26100", "arm64:17763"], [Target.WIN11], ["a host of win11 (arm64) does not run it"]),
        (["amd64:26100", "arm64:26100"], [Target.WS2025, Target.WIN11], []),
        (["amd64:17763", "amd64:20348", "arm64:26100"], [Target.WS2019, Target.WS2022], []),
        (["arm64:26100"], [Target.WS2022], ["a host of ws2022 does not run it"]),
    ],
)
def test_each_processor_needs_an_image(
    tmp_path: Path, images: list[str], targets: list[Target], messages: list[str]
) -> None:
    made = Layout(tmp_path / "d")
    found = []
    for image in images:
        architecture, _, build = image.partition(":")
        edit = put("architecture", architecture)
        one = made.image(os_version=f"10.0.{build}.1", config=edit)
        one["platform"]["architecture"] = architecture
        found.append(one)
    made.tag(made.index(found))
    report = verify(f"oci:{made.write()}:t", *targets)
    assert set(image_codes(report)) <= {Code.OS_VERSION_REFUSED}
    assert [one.message for one in report.findings if one.rule.code is Code.OS_VERSION_REFUSED] == messages


# --- in a registry ------------------------------------------------------------------


def in_registry(folder: Path, **more: Any) -> tuple[Model, Layout]:
    """A registry with an index of two images of two layers each."""
    made = Layout(folder)
    found = [
        made.image([BASE_TAR, TOP_TAR], os_version="10.0.17763.1"),
        made.image([BASE_TAR, build([*BASE, M("Files/other")])], os_version="10.0.20348.1", **more),
    ]
    root, model = made.index(found), Model()
    put_layout(model, "a", members(folder), root, "t")
    return model, made


def verify_registry(model: Model, *targets: Target) -> Report:
    places = LayerPlaces(registries=reach(model))
    place = parse_layer_place(f"docker://{HOST}/a:t")
    return verify_layers(places, place, targets=frozenset(targets) or frozenset(Target))


def test_each_layer_is_asked_for_once_and_when_its_turn_comes(tmp_path: Path) -> None:
    model, _ = in_registry(tmp_path)
    asked: list[int] = []  # how many answers were still open as a layer was asked for

    def before() -> None:
        asked.append(sum(not answer.closed for answer in model.answers))

    layers = "|".join(digest(data) for data in (BASE_TAR, TOP_TAR, build([*BASE, M("Files/other")])))
    model.faults = [Fault(layers, times=None, before=before)]
    report = verify_registry(model)
    assert image_codes(report) == []
    assert len(report.read) == 4
    assert len(asked) == 4
    assert len(set(asked)) == 1  # no layer was open when the next one was


def test_a_layer_that_a_registry_lost(tmp_path: Path) -> None:
    top = build([*BASE, M("Files/.wh.gone"), M("Files/link", type="1", link="Files/none")])
    model, made = Model(), Layout(tmp_path)
    root = made.image([BASE_TAR, top, top])
    put_layout(model, "a", members(tmp_path), root, "t")
    del model.blobs["a", digest(BASE_TAR)]
    report = verify_registry(model)
    assert image_codes(report) == [Code.BLOB_MISSING]
    assert [one.layer for one in report.findings if one.rule.code is Code.BLOB_MISSING] == [f"docker://{HOST}/a:t#0"]
    assert list(report.stopped) == [f"docker://{HOST}/a:t#0"]
    assert not {Code.LINK_TO_NOTHING, Code.WHITEOUT_OF_NOTHING} & {one.rule.code for one in report.findings}


def test_a_manifest_that_is_not_the_one_of_its_digest_is_a_finding(tmp_path: Path) -> None:
    model, _ = in_registry(tmp_path)
    second = [key for key, (data, _) in model.manifests.items() if b"manifests" not in data][1]
    data, media_type = model.manifests[second]
    model.manifests[second] = (data + b" ", media_type)
    report = verify_registry(model, Target.WS2019, Target.WS2022)
    assert image_codes(report) == [Code.BLOB_DIGEST]
    assert len(report.read) == 2
    # The root: nothing is left to be read.
    root = model.tags["a", "t"]
    data, media_type = model.manifests["a", root]
    model.manifests["a", root] = (data + b" ", media_type)
    report = verify_registry(model)
    assert image_codes(report) == [Code.BLOB_DIGEST]
    assert report.stopped


def test_a_layer_of_another_size_in_a_registry_is_a_finding(tmp_path: Path) -> None:
    model, _ = in_registry(tmp_path)
    model.blobs["a", digest(TOP_TAR)] = Bytes(TOP_TAR + bytes(512))
    report = verify_registry(model)
    assert image_codes(report) == [Code.BLOB_SIZE]
    assert len(report.read) == 4


def test_what_the_network_does_is_no_finding(tmp_path: Path) -> None:
    model, _ = in_registry(tmp_path)
    model.faults = [Fault(digest(TOP_TAR), times=None, status=403)]
    with pytest.raises(RemoteError, match="403"):
        verify_registry(model)
    assert all(answer.closed for answer in model.answers)


def test_what_is_no_fault_of_an_image(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        verify(f"oci:{tmp_path / 'nothing'}")
    with pytest.raises(NotFoundError, match="no such tag"):
        verify(good(tmp_path).replace(":t", ":other"))
    made = Layout(tmp_path / "two")
    made.tag(made.image(), "a")
    made.tag(made.image([TOP_TAR]), "b")
    with pytest.raises(UsageError, match="which image of the layout"):
        verify(f"oci:{made.write()}")
    with pytest.raises(UsageError, match="-l is for a layer folder or tar"):
        verify_layers(LayerPlaces(parents=["x"]), parse_layer_place(f"oci:{tmp_path / 'd'}:t"))


def test_one_layer_of_a_broken_image(tmp_path: Path) -> None:
    place = config(put("created", "now"))(tmp_path)
    report = verify(f"{place}#0")
    assert image_codes(report) == [Code.DATE]
    assert not report.passed
    assert report.stopped


def test_documents_with_json_of_go(tmp_path: Path) -> None:
    """The case of names does not matter."""

    def spell(value: dict[str, Any]) -> None:
        value["rootfS"] = value.pop("rootfs")

    assert image_codes(verify(config(spell)(tmp_path))) == []
