"""Build a Dockerfile without Windows: COPY, ADD, WORKDIR and the instructions that set the config.

Each COPY, ADD and WORKDIR makes a layer, as in BuildKit. Stages that the target does
not need are skipped. Files of an earlier stage or of another image are read out of its
layers; only the files that are asked for are unpacked.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Self

from ..builder.build import BuiltImage, build_on
from ..builder.copy_from import ImageTree
from ..builder.recipe import DirectoryRule, LayerRecipe, Recipe
from ..distribution.registries import Registries
from ..errors import ImageError, NotFoundError, RemoteError, UsageError, WclayerError
from ..images.choosing import ImageSelector, parse_platform
from ..images.options import ImageOptions
from ..images.places.parse import ImageReference, parse_place, whole_image
from ..images.places.staging import NearBlobs, Staging
from ..images.reading import Image, ImageLayer, open_image
from .copying import Copied, Copying
from .environment import registry_environment
from .ignore import read_dockerignore
from .json_form import json_warning
from .parse import (
    Dockerfile,
    Environment,
    Instruction,
    parse_dockerfile,
)
from .paths import drive_relative, lost_backslash
from .running import Running
from .sources import FileSource, HostFolder, TakenFolder
from .stages import SCRATCH, Stage, check_possible, find_stages

__all__ = ["build_dockerfile"]

# BuildKit accepts these for every build, even without an ARG.
_PROXIES: Final = frozenset(("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"))


def build_dockerfile(
    data: bytes,
    output: ImageReference | str | Sequence[ImageReference | str],
    *,
    source: str,
    context: str,
    settings: Recipe | None = None,
    target: str | None = None,
    arguments: Mapping[str, str] | None = None,
    contexts: Mapping[str, str] | None = None,
    time: int = 0,
    force: bool = False,
    cache: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    options: ImageOptions | None = None,
) -> BuiltImage:
    """Build the image that the Dockerfile in `data` describes, and write it to each place of `output`.

    source: the Dockerfile's path, for messages and for SOURCE.dockerignore. context: the folder that COPY reads.
    settings: the rest of the image, as build_image takes it: its `base` replaces the image of the target's first FROM,
    its `config` overrides the instructions, its `layers` are ignored. target: the stage to build; None for the last.
    arguments: build arguments. contexts: for COPY --from and FROM, a folder or image reference that replaces the stage
    or image of that name. time: the time of files that the Dockerfile itself contains, in ns since 1970. The others
    are build_image's.

    Raises SpecError, with the line, for an instruction that needs Windows and for an invalid Dockerfile, and what
    build_image raises.
    """
    settings = settings or Recipe(layers=())
    options = options or ImageOptions()
    with ExitStack() as stack:
        if options.registries is None:
            options = replace(options, registries=stack.enter_context(Registries()))
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=options.temp_dir, prefix="wclayer-"))
        build = _Build(
            parse_dockerfile(data, source),
            context,
            settings,
            given=dict(arguments or {}),
            contexts=dict(contexts or {}),
            time=time,
            options=replace(options, temp_dir=folder, selector=None),
            cache=cache,
        )
        stack.enter_context(build)
        stage = build.target(target)
        built = build_on(
            build.state(stage).image,
            build.recipe(stage),
            output,
            force=force,
            cache=cache,
            workers=workers,
            options=options,
        )
        built.warnings[:0] = build.warnings
        return built


@dataclass(slots=True)
class _State:
    """A stage that is evaluated: its base (None for scratch), its config so far, its layers."""

    image: Image | None
    running: Running
    layers: list[LayerRecipe] = field(default_factory=list)


class _Build:
    """One build. Closed as a context manager."""

    def __init__(
        self,
        dockerfile: Dockerfile,
        context: str,
        settings: Recipe,
        *,
        given: Mapping[str, str],
        contexts: Mapping[str, str],
        time: int,
        options: ImageOptions,
        cache: str | os.PathLike[str] | None,
    ) -> None:
        self._dockerfile = dockerfile
        self._settings = settings
        self._given = given
        self._contexts = {name.lower(): place for name, place in contexts.items()}
        self._options = options
        temp_dir = self._temporary = os.fspath(options.temp_dir or "")
        self._cache = cache
        self._stack = ExitStack()
        self.warnings: list[str] = []
        architecture = settings.architecture or "amd64"
        self._platform = f"windows/{architecture}"
        kinds = {"PLATFORM": self._platform, "OS": "windows", "ARCH": architecture, "VARIANT": ""}
        # The building machine must not change the result, so BUILDPLATFORM and the others equal the target's.
        predefined = {f"{prefix}{key}": value for prefix in ("TARGET", "BUILD") for key, value in kinds.items()}
        self._stages = find_stages(dockerfile, given, predefined)
        self._target = self._stages.stages[-1]
        ignore = read_dockerignore(context, dockerfile.source if os.path.isfile(dockerfile.source) else None)
        self.warnings += ignore.warnings
        self._context = HostFolder(context, ignore, temp_dir)
        registries = options.registries
        assert registries is not None  # noqa: S101 # build_dockerfile sees to it
        self._copying = Copying(dockerfile, temp_dir, time, self._warn, registries.fetch)
        self._states: dict[int, _State] = {}
        self._images: dict[tuple[str, str], Image] = {}
        self._made: dict[int, Image] = {}
        self._nearer: dict[str, NearBlobs] = {}
        self._sources: dict[str, FileSource] = {}
        self._environments: dict[str, Environment] = {}
        self._used: set[str] = set(self._stages.used)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def target(self, name: str | None) -> Stage:
        """Evaluate the target stage and all stages that it needs; the target stage."""
        self._target = self._stages.target(name)
        for stage in self._needed(self._target):
            self.state(stage)
        for unused in sorted(self._given.keys() - self._used):
            if unused.upper() not in _PROXIES:
                self._warn(f"{self._dockerfile.source}: no ARG asks for the build argument {unused}")
        return self._target

    def _needed(self, target: Stage) -> list[Stage]:
        """The stages that one stage needs, and itself, each after those that it needs itself."""
        found: dict[int, Stage] = {}
        waiting = [target]
        while waiting:
            stage = waiting.pop()
            if stage.number in found:
                continue
            found[stage.number] = stage
            waiting += self._chain(stage)[1:]
            for instruction in stage.instructions:
                for name in instruction.flags.get("from", ()):
                    other = None if name.lower() in self._contexts else self._stages.find(name, stage.number)
                    waiting += [] if other is None else [other]
        return [found[number] for number in sorted(found)]

    def _warn(self, warning: str) -> None:
        if warning not in self.warnings:
            self.warnings.append(warning)

    def recipe(self, stage: Stage) -> Recipe:
        """The recipe of a stage, for `build_on`."""
        state = self.state(stage)
        settings, running = self._settings, state.running
        config = settings.config
        if running.author is not None and config.author is None:
            config = replace(config, author=running.author)
        if not state.layers and state.image is None:
            raise self._dockerfile.error(stage.start, "FROM scratch, and nothing is copied", expected="COPY")
        return replace(
            settings,
            layers=tuple(state.layers),
            base=None,
            architecture=settings.architecture or self._architecture(stage),
            run=running.config,
            history=tuple(running.history),
            config=config,
        )

    def _architecture(self, stage: Stage) -> str | None:
        """The platform that `FROM --platform=... scratch` names; an image brings its own."""
        root = self._chain(stage)[-1]
        return self._choice(root.platform).architecture if root.base == SCRATCH and root.platform else None

    # --- stages -----------------------------------------------------------------

    def _chain(self, stage: Stage) -> list[Stage]:
        """The stage and the stages that it is built on, down to one on an image or scratch."""
        chain = [stage]
        while isinstance(base := chain[-1].base, Stage) and base.name not in self._contexts:
            chain.append(base)
        return chain

    def state(self, stage: Stage) -> _State:
        """Evaluate one stage; the stages that it needs are evaluated already."""
        below: _State | None = None
        for one in reversed(self._chain(stage)):
            found = self._states.get(one.number)
            if found is None:
                check_possible(self._dockerfile, one, is_target=one is self._target)
                try:
                    with self._dockerfile.at(one.start):
                        found = self._begin(one, below)
                except WclayerError as error:
                    if one.empty:
                        error.hint = one.hint
                    raise
                for instruction in one.instructions:
                    with self._dockerfile.at(instruction):
                        self._dispatch(one, found, instruction)
                self._used |= found.running.used
                self._states[one.number] = found
            below = found
        assert below is not None  # noqa: S101 # a chain has one link at least
        return below

    def _begin(self, stage: Stage, below: _State | None) -> _State:
        if below is not None:
            return _State(below.image, below.running.copy(), list(below.layers))
        image = None
        is_root = stage is self._chain(self._target)[-1]
        override = self._settings.base if is_root else None
        if override is not None:
            image = self._open(override, stage.platform, is_place=True, is_root=True)
        elif stage.base != SCRATCH:
            name = stage.base if isinstance(stage.base, str) else stage.base.name or ""
            image = self._open(name, stage.platform, is_root=is_root)
        elif stage.platform:
            self._choice(stage.platform)
        config = None
        if image is not None:
            config = image.config.get("config")
            config = config if isinstance(config, Mapping) else {}
            if config.get("OnBuild"):
                raise ImageError(
                    "the base wants instructions of its own carried out (ONBUILD)",
                    path=image.place.text,
                    got=str(config["OnBuild"])[:100],
                    hint="write them into the Dockerfile, on a base without them",
                )
        inherited = None if image is None else partial(self._inherited, image)
        return _State(image, Running(self._dockerfile, config, self._given, self._stages.arguments, inherited))

    def _inherited(self, image: Image, name: str) -> str | None:
        """A variable of the registry of a base whose config does not have it."""
        known = self._environments.get(image.manifest.digest)
        if known is None:
            # The same layers are read again for the build; those of a registry are fetched once.
            image.layers = tuple(self._near(image))
            found = registry_environment(
                image.layers, self._warn, self._options.progress, cache=self._cache, temp_dir=self._temporary
            )
            known = self._environments[image.manifest.digest] = Environment(found)
        value = known.get(name)
        if value is None and name.upper() == "PATH":
            self._warn(f"{self._dockerfile.source}: ${{{name}}} is empty: the base has no PATH, in config or registry")
        return value

    def _dispatch(self, stage: Stage, state: _State, instruction: Instruction) -> None:
        name, running = instruction.name, state.running
        if (warning := json_warning(instruction)) is not None:
            self._warn(f"{self._dockerfile.source}, line {instruction.line}: {warning}")
        known = running.knows.get(name)
        if known is not None:
            self._check_no_flags(instruction)
            known(instruction)
        elif name in ("COPY", "ADD"):
            copied = self._copy(stage, state, instruction)
            state.layers.append(LayerRecipe(files=copied.rules, later_wins=True))
            running.step(copied.said, layer=True)
        elif name == "WORKDIR":
            self._check_no_flags(instruction)
            path, said = running.change_directory(instruction)
            if drive_relative(said):
                self._warn(lost_backslash(self._dockerfile.source, instruction.line, said))
            if path != "/":
                state.layers.append(LayerRecipe(directories=(DirectoryRule(path=path.lstrip("/")),)))
            running.step(f"WORKDIR {path}", layer=path != "/")
        else:
            raise self._dockerfile.error(instruction, f"{name} is not possible here", got=instruction.text[:80])

    def _check_no_flags(self, instruction: Instruction) -> None:
        if instruction.flags and instruction.name != "HEALTHCHECK":
            flag = next(iter(instruction.flags))
            raise self._dockerfile.error(instruction, f"an unknown flag of {instruction.name}", got=f"--{flag}")

    # --- copying ----------------------------------------------------------------

    def _copy(self, stage: Stage, state: _State, instruction: Instruction) -> Copied:
        given = instruction.flags.get("from")
        if given is None or instruction.name != "COPY":
            return self._copying.rules(instruction, state.running, self._context)
        name = given[-1]
        if "$" in name:
            raise self._dockerfile.error(
                instruction, "--from with a variable", got=name, hint="FROM a stage that has it, by an ARG before"
            )
        patterns = self._copying.patterns(instruction, state.running)
        return self._copying.rules(instruction, state.running, self._source(stage, instruction, name, patterns))

    def _source(self, stage: Stage, instruction: Instruction, name: str, patterns: Sequence[str]) -> FileSource:
        """The source of `COPY --from=name`."""
        place = self._contexts.get(name.lower())
        if place is not None and os.path.isdir(place):
            if name not in self._sources:
                ignore = read_dockerignore(place)
                self.warnings += ignore.warnings
                self._sources[name] = HostFolder(place, ignore, self._temporary)
            return self._sources[name]
        found = self._stages.find(name, stage.number)
        if found is None and self._stages.find(name, len(self._stages.stages)) is not None:
            raise self._dockerfile.error(instruction, "a stage that comes later, or this one", got=name)
        layers: list[ImageLayer]
        if place is not None:
            layers = self._near(self._open(place, "", is_place=True))
        elif found is not None:
            layers = self._layers_of(found)
        elif name == SCRATCH:
            raise self._dockerfile.error(instruction, "scratch has no files", got="--from=scratch")
        elif name.isascii() and name.isdecimal():
            raise self._dockerfile.error(
                instruction, "no stage of this number", expected=f"below {stage.number}", got=name[:20]
            )
        else:
            layers = self._near(self._open(name, ""))

        def taken(paths: Sequence[str], literal: bool) -> ImageTree:
            sources = [layer.source() for layer in layers]
            files = ImageTree.of_layers(sources, paths, name=name, literal=literal, temp_dir=self._temporary)
            return self._stack.enter_context(closing(files))

        return TakenFolder.take(patterns, taken)

    def _near(self, image: Image) -> list[ImageLayer]:
        """The layers of an image, to be read twice: a registry's layer is stored locally when it is first read."""
        if image.place.transport != "docker":
            return list(image.layers)
        near = self._nearer.get(image.manifest.digest)
        if near is None:
            near = NearBlobs(image.blobs, Staging(tempfile.mkdtemp(dir=self._temporary)), keep=True)
            self._nearer[image.manifest.digest] = near
        return [replace(layer, blobs=near) for layer in image.layers]

    def _layers_of(self, stage: Stage) -> list[ImageLayer]:
        """The layers of an earlier stage: those of its base, and its own, which are made for this COPY."""
        state = self.state(stage)
        below = [] if state.image is None else self._near(state.image)
        if not state.layers:
            return below
        made = self._made.get(stage.number)
        if made is None:
            place = ImageReference(
                text=f"stage {stage}", transport="oci", path=os.path.join(self._temporary, f"stage-{stage.number}")
            )
            recipe = replace(self.recipe(stage), compression="none", level=None, history=(), registry=None)
            build_on(state.image, recipe, place, bare=True, cache=self._cache, options=self._options)
            made = self._made[stage.number] = self._stack.enter_context(open_image(place))
        return [*below, *made.layers]

    # --- images -----------------------------------------------------------------

    def _choice(self, platform: str, os_version: str | None = None) -> ImageSelector:
        settings = self._settings
        architecture = settings.architecture
        host = None
        if platform:
            found = parse_platform(platform)
            architecture = found.architecture
            host = found if found.os_version else None
        return ImageSelector(os_version=os_version, platform=host, architecture=architecture)

    def _open_selected(self, place: ImageReference, selector: ImageSelector) -> Image:
        return open_image(place, options=replace(self._options, selector=selector))

    def _open(self, name: str, platform: str, *, is_place: bool = False, is_root: bool = False) -> Image:
        """The image of that name: an image reference of any transport, else a name in a registry.

        is_root: the target is built on this image, so it must have the requested os.version; other images that are
        not indexes may have another.
        """
        context = self._contexts.get(name.lower())
        if context is not None and not is_place:
            if os.path.isdir(context):
                raise UsageError("a folder, where an image must be", path=context, hint="COPY --from can take it")
            name, is_place = context, True
        key = (name, platform)
        image = self._images.get(key)
        if image is None:
            place = parse_place(name)
            if not place.is_image and not is_place:
                place = parse_place(f"docker://{name}")
            opened = partial(self._open_selected, whole_image(place, "taken"))
            wanted = self._settings.os_version
            try:
                image = opened(self._choice(platform, wanted))
            except NotFoundError as error:
                if is_root or wanted is None or isinstance(error, RemoteError):
                    raise
                image = opened(self._choice(platform))
            self._images[key] = self._stack.enter_context(image)
        return image
