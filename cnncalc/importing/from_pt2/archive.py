"""The members of a `.pt2` file, which is a zip archive: known ones alone, each of bounded size."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnncalc.errors import UsageError, reason_of, shorten
from cnncalc.importing.from_pt2.checking import UnsafeError, check_pickle, check_program
from cnncalc.unpacking import Unpacked, check

if TYPE_CHECKING:
    from collections.abc import Mapping

_MEMBERS = re.compile(
    r"archive_format|archive_version|byteorder|version|\.format_version|\.storage_alignment"
    r"|\.data/[\w.-]+|models/[\w.-]+\.json|data/(?:weights|constants)/[\w.-]+"
    r"|data/sample_inputs/[\w.-]+\.pt|extra/.+"
)
"""Of today's format, below the folder that holds all."""
_OLD_MEMBERS = re.compile(
    r"version|serialized_exported_program\.json|serialized_(?:state_dict|constants)\.(?:pt|json)"
    r"|serialized_example_inputs\.pt|extra_files/.+"
)
"""Of the format of PyTorch before 2.8."""
_OBJECTS = re.compile(r"data/constants/(?:custom|opaque)_obj_.*")
_PROGRAM = "models/model.json"
_OLD_PROGRAM = "serialized_exported_program.json"


@dataclass(frozen=True)
class Archive:
    """A program, and what it says of its tensors."""

    program: dict[str, Any]
    weights: dict[str, Any]
    """By name: `path_name`, `is_param`, `tensor_meta`."""
    constants: dict[str, Any]
    raw: Mapping[str, bytes]
    """The bytes of constants, by `path_name`."""
    pickled: bytes = b""
    """The constants of an old file: tensors alone."""


def read_archive(file: str) -> Archive:
    """What a `.pt2` holds, every text checked. Weights stay where they are.

    Raises:
        UsageError: it is none, is damaged, unpacks to too much or holds what could run code.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return _Members(file, archive).read()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from None
    except UsageError:
        raise
    except UnsafeError as error:
        raise UsageError(
            f"{file}: {error}; such a file can run code where PyTorch loads it, so it is not read"
        ) from None
    except Exception as error:  # noqa: BLE001 - whatever a damaged file can make it raise
        what = "holds no program of torch.export" if zipfile.is_zipfile(file) else "is no .pt2 file"
        raise UsageError(f"{file}: {what}: {reason_of(error)}") from None


class _Members:
    def __init__(self, file: str, archive: zipfile.ZipFile) -> None:
        self.file = file
        self.archive = archive
        self.left = 0
        self.infos: dict[str, zipfile.ZipInfo] = {}
        names = archive.namelist()
        self.is_old = _OLD_PROGRAM in names
        root = "" if self.is_old else f"{next(iter(names), '').partition('/')[0]}/"
        if not self.is_old and f"{root}{_PROGRAM}" not in names:
            raise ValueError(f"it has no {_PROGRAM}")
        known = _OLD_MEMBERS if self.is_old else _MEMBERS
        for info in archive.infolist():
            name = info.filename.removeprefix(root)
            if name in self.infos:
                raise UnsafeError(f"it holds {shorten(name)} twice")
            within = info.filename.startswith(root) and known.fullmatch(name)
            if not within or ".." in name.split("/"):
                raise UnsafeError(f"it holds {shorten(info.filename)}, which is no part of one")
            self.infos[name] = info
        check(file, sum(info.file_size for info in self.infos.values()))

    def read(self) -> Archive:
        for name in self.infos:
            if _OBJECTS.fullmatch(name):
                raise UnsafeError(f"{name} holds an object of Python; only tensors are safe")
            if name.endswith(".pt"):
                self.check_tensors(name)
        if self.is_old:
            program = self.json(_OLD_PROGRAM)
            pickled = self.bytes("serialized_constants.pt")
            return Archive(program, {}, {}, {}, pickled)
        for name in [name for name in self.infos if name.startswith("models/")]:
            if name != _PROGRAM:
                self.json(name)
        weights = self.tensors("weights")
        constants = self.tensors("constants")
        raw = {
            name: self.bytes(f"data/constants/{name}")
            for name in {each["path_name"] for each in constants.values() if _is_raw(each)}
        }
        pickled_file = "data/constants/model.pt"
        pickled = self.bytes(pickled_file) if pickled_file in self.infos else b""
        return Archive(self.json(_PROGRAM), weights, constants, raw, pickled)

    def tensors(self, what: str) -> dict[str, Any]:
        """What is said of weights or constants; a pickle of one holds nothing but a tensor."""
        name = f"data/{what}/model_{what}_config.json"
        if name not in self.infos:
            return {}
        config = self.json(name)["config"]
        for key, each in config.items():
            if each.get("use_pickle"):
                path = each["path_name"]
                if path in ("", None) or each.get("tensor_meta") is None:
                    raise UnsafeError(f"{shorten(key)} is an object of Python, not a tensor")
                self.check_tensors(f"data/{what}/{path}")
        return dict(config)

    def bytes(self, name: str) -> bytes:
        with self.archive.open(self.infos[name]) as stream:
            return Unpacked(stream, self.file).read()

    def json(self, name: str) -> dict[str, Any]:
        data = json.loads(self.bytes(name))
        if not isinstance(data, dict):
            raise TypeError(f"{name} holds no mapping")
        check_program(data)
        return data

    def check_tensors(self, name: str) -> None:
        """Raises `UnsafeError` if what `torch.save` wrote holds more than tensors."""
        data = self.bytes(name)
        if not data:
            return
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as saved:
                pickles = [each for each in saved.infolist() if each.filename.endswith(".pkl")]
                check(self.file, sum(each.file_size for each in pickles))
                if len(pickles) != 1:
                    raise UnsafeError("it is no file of tensors")
                check_pickle(saved.read(pickles[0]))
        except zipfile.BadZipFile:
            raise UnsafeError(f"{name} holds no tensors, which alone are safe to read") from None
        except UnsafeError as error:
            raise UnsafeError(
                f"{name} holds objects of Python, and only tensors are safe to read: {error}"
            ) from None


def _is_raw(payload: Any) -> bool:
    return not payload.get("use_pickle")
