"""The options that all functions on images share."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..arguments import check_fields
from ..distribution.registries import Registries
from ..entry import ProgressCallback
from .choosing import ImageSelector

__all__ = ["ImageOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions:
    """How images are found, reached and read.

    selector: which image of an index; None for the only Windows image. registries: how to reach registries; without
    credentials if None. temp_dir: the folder for temporary files; the system's if None. progress: called while data is
    read and written.
    """

    selector: ImageSelector | None = None
    registries: Registries | None = None
    temp_dir: str | os.PathLike[str] | None = None
    progress: ProgressCallback | None = None

    def __post_init__(self) -> None:
        check_fields(self)
