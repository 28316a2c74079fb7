"""Arguments of bubblewrap for a container: its root file system, writable paths, namespaces and host names."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hosting.local import container_init
from hosting.local.container import Container, LocalImage
from hosting.local.errors import LocalError

# The addresses at which a container reaches its destinations.
DESTINATION_ADDRESS = "10.254.1.{}"
# Folders that a container with a writable root gets in addition to those of its image. The rest of this machine's files
# stays read-only.
_WRITABLE_ROOT = ("/tmp", "/var/tmp", "/run")  # noqa: S108 -- folders in the container
# What container_init needs for the network. The app gets none of it.
_CAPABILITIES = ("--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_NET_ADMIN")
_RESOLVER = Path("/etc/resolv.conf")
_INIT = "/run/container-init.py"


def find_bubblewrap() -> str | None:
    """Return the path of bubblewrap, or None if it is not installed."""
    return shutil.which("bwrap")


def find_ip() -> str:
    """Return the path of the program ip. Raises LocalError if it is not installed."""
    found = shutil.which("ip", path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")))
    if found is None:
        raise LocalError("the program ip is not installed. Install it: apt-get install iproute2")
    return found


@dataclass
class _FileSystem:
    """The mounts of a container. Each folder without a mount point becomes one in memory, with the same entries."""

    folders: Mapping[str, Path]
    arguments: list[str] = field(default_factory=list)
    rebuilt: list[str] = field(default_factory=list)
    writable: list[str] = field(default_factory=list)

    def rebuild(self, path: str) -> None:
        """Replace a folder by one in memory that has the same entries, so that it can get new ones."""
        self.rebuilt.append(path)
        self.arguments += ["--tmpfs", path]
        for entry in sorted(self._source(path).iterdir()):
            target = str(Path(path, entry.name))
            if entry.is_symlink():
                self.arguments += ["--symlink", str(entry.readlink()), target]
            elif os.access(entry, os.R_OK):
                self.arguments += ["--ro-bind", str(entry), target]

    def mount(self, source: Path, path: str, *, writable: bool = False) -> None:
        """Mount a folder or file of this machine at a path, which need not exist."""
        if not self._source(path).exists() and not is_below(path, self.writable):
            parent = next(str(folder) for folder in Path(path).parents if self._source(str(folder)).exists())
            if parent not in self.rebuilt:
                self.rebuild(parent)
        # bubblewrap makes missing parents of a mount point private, but a folder of --dir is for all users.
        for folder in reversed(Path(path).parents):
            if is_below(str(folder), [*self.rebuilt[1:], *self.writable]):
                self.arguments += ["--dir", str(folder)]
        self.arguments += ["--bind" if writable else "--ro-bind", str(source), path]
        if writable:
            self.writable.append(path)

    def show(self, program: Path) -> None:
        """Mount the folder of a program at its own path, if a writable path or a private folder hides it."""
        private = next((str(f) for f in reversed(program.parents) if not f.stat().st_mode & stat.S_IXOTH), None)
        if private and private not in self.rebuilt and not is_below(private, self.writable):
            # Such as the home of root, in which the user of the container has no rights.
            self.rebuilt.append(private)
            self.arguments += ["--tmpfs", private]
        if private or is_below(str(program), self.writable):
            self.mount(program, str(program))

    def _source(self, path: str) -> Path:
        """Return the path on this machine of a path in the container."""
        for folder in sorted(self.folders, reverse=True):
            if is_below(path, [folder]):
                return self.folders[folder] / Path(path).relative_to(folder)
        return Path(path)


def is_below(path: str, folders: list[str]) -> bool:
    """Return whether a path is one of the folders or below one."""
    return any(Path(path).is_relative_to(folder) for folder in folders)


def command_line(
    container: Container, image: LocalImage, folder: Path, volumes: Path, hosts: Mapping[str, str], ids: tuple[int, int]
) -> list[str]:
    """Return the command line of bubblewrap that starts ``container_init``, without the bubblewrap executable.

    ``folder`` is the container's folder on this machine. It gets the writable folders and the hosts file, and contains
    the folder ``control``. ``volumes`` has a folder for each volume. ``hosts`` maps names to addresses.
    """
    names = {"localhost": "127.0.0.1", **hosts}
    (folder / "hosts").write_text("".join(f"{address} {name}\n" for name, address in names.items()), encoding="utf-8")
    files = _FileSystem(image.folders)
    files.rebuild("/")
    files.arguments += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run"]
    writable = list(container.writable_paths)
    if not container.read_only:
        writable += [path for path in (*image.folders, *_WRITABLE_ROOT) if not is_below(path, writable)]
    # Parents before their children, because a mount hides what is mounted below its path.
    for path in sorted({*image.folders, *writable, *container.volumes}):
        if path in container.volumes:
            volume = container.volumes[path]
            owner = (int(volume.owner.split(":")[0]), int(volume.owner.split(":")[1])) if volume.owner else ids
            files.mount(_volume_folder(volumes / volume.name, owner), path, writable=not volume.read_only)
        elif path in writable:
            source = _writable_folder(folder / f"writable-{writable.index(path)}", path, image, ids)
            files.mount(source, path, writable=True)
        else:
            files.mount(image.folders[path], path)
    for program in (*filter(Path.is_dir, image.programs), Path(sys.prefix), Path(sys.base_prefix)):
        files.show(program)
    files.mount(folder / "hosts", "/etc/hosts")
    if _RESOLVER.is_file() and not _RESOLVER.is_symlink():
        # No name server is reachable, and a program would wait for each of them.
        (folder / "resolv.conf").touch()
        files.mount(folder / "resolv.conf", str(_RESOLVER))
    files.arguments += ["--bind", str(folder / "control"), container_init.CONTROL]
    files.arguments += ["--ro-bind", str(Path(container_init.__file__)), _INIT]
    for path in reversed([*files.rebuilt, *(["/run"] if "/run" not in writable else [])]):
        files.arguments += ["--remount-ro", path]
    # Without root, bubblewrap makes the user in a namespace of its own. As root, container_init changes the user.
    user = [] if os.getuid() == 0 else ["--unshare-user", "--uid", str(ids[0]), "--gid", str(ids[1]), *_CAPABILITIES]
    return [
        *files.arguments,
        *("--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", container.name.lower()),
        *user,
        *("--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"),
        *(sys.executable, "-E", "-s", "-S", _INIT),
    ]


def _volume_folder(target: Path, ids: tuple[int, int]) -> Path:
    """Create the folder of a volume, as EFS does for the user of an access point. Its files stay."""
    if not target.exists():
        target.mkdir(parents=True, mode=0o750)
        if os.getuid() == 0:
            os.chown(target, *ids)
    return target


def _writable_folder(target: Path, path: str, image: LocalImage, ids: tuple[int, int]) -> Path:
    """Create the folder behind a writable path. A path of the image begins with the image's files, as a VOLUME does."""
    if path in image.folders:
        shutil.copytree(image.folders[path], target, symlinks=True)
    else:
        target.mkdir()
    if os.getuid() == 0:
        for file in (target, *target.rglob("*")):
            os.chown(file, *ids, follow_symlinks=False)
    return target
