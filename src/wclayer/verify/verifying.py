"""Verify layers and images: each layer from the base up, each on top of those below it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from ..codes import Code
from ..entry import Source
from ..errors import UsageError, WclayerError
from ..images.options import ImageOptions
from ..images.places.parse import ImageReference
from ..layertar.reader import TarSource
from ..operations.layer_places import LayerPlaces, LayerReference, OpenLayer, OpenLayers, parse_layer_place
from .findings import BASE, ON_TOP, Report
from .image import read_image
from .layer import NotABaseLayerError, check_layer
from .names import CheckedNames
from .notes import Notes
from .registry import RegistryCheck
from .rules import Target

__all__ = ["verify_layer", "verify_layers"]

# What nobody can say of a layer while one below it is not at hand, or could not be read to its end.
_OF_LAYERS_BELOW: Final = frozenset(
    (
        Code.LINK_TO_NOTHING,
        Code.WHITEOUT_OF_NOTHING,
        Code.WHITEOUT_OF_NOTHING_IN_UTILITY_VM,
        Code.UTILITY_VM_WITHOUT_ONE_BELOW,
        Code.DELTA_OF_OTHER_BASE,
        Code.DELTA_MISSING,
    )
)


def verify_layer(
    source: str,
    parents: Sequence[str | os.PathLike[str]] = (),
    *,
    targets: Iterable[Target] = Target,
    ignored: Iterable[Code] = (),
    options: ImageOptions | None = None,
) -> Report:
    """Find what Windows, hcsshim, containerd or Docker would refuse or damage of a layer or image; see docs/rules.md.

    source: a layer tar or folder, an image (`oci:DIR:TAG`, `docker://...`), or `PLACE#N`. parents: the layer folders or
    tars below one that is a tar or folder, nearest first. targets: where it is to run. ignored: rules that do not
    count.

    What is wrong with the layers is in the report. Raises UsageError, NotFoundError for a place where nothing is, and
    errors of the host and the network.
    """
    places = LayerPlaces.of_options(parents, options or ImageOptions())
    return verify_layers(
        places,
        parse_layer_place(source),
        targets=frozenset(targets),
        ignored=frozenset(ignored),
        temp_dir=places.temp_dir,
    )


def verify_layers(
    places: LayerPlaces,
    place: LayerReference,
    *,
    targets: frozenset[Target] = frozenset(Target),
    ignored: frozenset[Code] = frozenset(),
    temp_dir: str | os.PathLike[str] | None = None,
) -> Report:
    """Judge the layer at a place, or all layers of an image and its documents.

    Of parents that are given, and of the layers below an image's layer N, only names and hives are checked.
    targets: where it is to run. ignored: rules that do not count. temp_dir: the folder for hives that are put aside.

    Raises UsageError, NotFoundError for a place where nothing is, and errors of the host and the network; what is wrong
    with the layers themselves is in the report.
    """
    report = Report(targets, ignored)
    try:
        if place.place.is_image and place.place.layer is None:
            _image(places, place.place, report, temp_dir)
            return report
        with places.open(place, alone=False) as found:
            _layers(found, report, temp_dir)
    except WclayerError as error:
        if not Notes(report, place.place.text).error(error):
            raise
        report.stopped[place.place.text] = str(error)
    return report


def _image(places: LayerPlaces, place: ImageReference, report: Report, temp_dir: str | os.PathLike[str] | None) -> None:
    """All layers of the images at a place, whatever is wrong with their documents."""
    if places.parents:
        raise UsageError("-l is for a layer folder or tar", got=place.text)
    with read_image(
        place,
        partial(Notes, report),
        targets=report.targets,
        selector=places.selector,
        temp_dir=temp_dir,
        registries=places.registries,
    ) as images:
        if not any(image.layers for image in images):
            report.stopped[place.text] = "no layer of it can be read"
        for image in images:
            with RegistryCheck(temp_dir) as registry:
                stack = _Stack(report, registry)
                for layer in image.layers:
                    stack.put(layer.name, layer.source, base=layer.number == 0, complete=layer.complete)


def _layers(found: OpenLayers, report: Report, temp_dir: str | os.PathLike[str] | None) -> None:
    """The topmost of the layers. A tar without parents is a base layer unless something in it shows that it is none."""
    layers = found.layers
    last = layers[-1]
    if len(layers) == 1 and last.base and isinstance(last.source, TarSource) and last.source.restartable:
        attempt = Report(report.targets, report.ignored)
        try:
            _judge(layers, attempt, temp_dir, guessed=True)
        except NotABaseLayerError:
            layers = (replace(last, base=False),)
        else:
            report.judged_as[last.name] = BASE
            report.take(attempt)
            return
    report.judged_as[last.name] = BASE if layers[-1].base else ON_TOP
    _judge(layers, report, temp_dir)


def _judge(
    layers: Sequence[OpenLayer], report: Report, temp_dir: str | os.PathLike[str] | None, *, guessed: bool = False
) -> None:
    with RegistryCheck(temp_dir) as registry:
        stack = _Stack(report, registry)
        for number, layer in enumerate(layers):
            silent = number < len(layers) - 1
            if number == 0 and not layer.base and not silent:
                Notes(report, layer.name).note(Code.PARENTS_NOT_GIVEN, "a layer on top of others, which are not given")
            stack.put(layer.name, layer.source, base=layer.base, silent=silent, guessed=guessed)


class _Stack:
    """Layers that are judged one after the other, from the base up."""

    def __init__(self, report: Report, registry: RegistryCheck) -> None:
        self._report = report
        self._registry = registry
        self._below: list[CheckedNames] = []  # nearest first
        self._known = True  # is all that lies below known?

    def put(
        self,
        name: str,
        source: Source,
        *,
        base: bool,
        complete: bool = True,
        silent: bool = False,
        guessed: bool = False,
    ) -> None:
        """Judge a layer on top of those before it. complete: are all below it there? silent: it is not asked about.
        guessed: see check_layer().
        """
        self._known = self._known and complete and (base or bool(self._below))
        unknown = frozenset() if self._known else _OF_LAYERS_BELOW
        notes = Notes(self._report, name, silent=silent, unknown=unknown)
        names, stopped = check_layer(
            source, notes, self._below, self._registry, base=base, known=self._known, guessed=guessed
        )
        self._below.insert(0, names)
        if not silent:
            self._report.read.append(name)
        if stopped is not None:
            self._report.stopped[name] = str(stopped)
            self._known = False
