"""Where answers cannot be kept, or not read, no query fails: full disks, read-only folders, files in the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from listwise.cache import AnswerCache
from listwise.cache.files import set_aside
from tests.cache.samples import ANSWER, MODEL, answer, database, filled, kept, key, python


async def test_a_file_in_the_way_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file", tmp_path / "file" / "c"):
        cache = AnswerCache(place)
        assert await cache.get("key") is None
        await cache.put("key", ANSWER, "m")
        assert await cache.get("key") == ANSWER  # from memory
        cache.close()
        assert cache.counts.dropped == 1


async def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "c").symlink_to(tmp_path / "elsewhere")
    await filled(tmp_path / "c", 1)
    assert await kept(tmp_path / "elsewhere", 1) == 1


async def test_a_folder_that_is_deleted_meanwhile_is_begun_again(tmp_path: Path) -> None:
    times = iter(range(100))
    cache = AnswerCache(tmp_path / "c", clock=lambda: float(next(times)))
    await cache.put(key(0), answer(0), MODEL)
    assert await cache.get(key(0)) == answer(0)
    shutil.rmtree(tmp_path / "c")
    assert await cache.get(key(0)) is None
    await cache.put(key(1), answer(1), MODEL)
    cache.close()
    assert await kept(tmp_path / "c", 2) == 1


async def test_nothing_is_written_into_a_folder_that_is_gone(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c", clock=lambda: 0.0)
    await cache.put(key(0), answer(0), MODEL)
    shutil.rmtree(tmp_path / "c")
    await cache.put(key(1), answer(1), MODEL)
    cache.close()
    assert cache.counts.dropped == 0
    assert await kept(tmp_path / "c", 2) == 1


READ_ONLY = """
    import asyncio, os, sys
    from pathlib import Path
    from listwise.cache import AnswerCache
    from tests.cache.samples import MODEL, answer, key

    async def main(directory):
        import listwise.cache.desk, listwise.cache.opening  # while files can still be read
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        cache = AnswerCache(directory)
        there = await cache.get(key(0)) == answer(0)
        await cache.put(key(1), answer(1), MODEL)
        again = await cache.get(key(1)) == answer(1)
        cache.close()
        print(there, again, cache.counts.dropped)

    asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder to which every user can go, as those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.parametrize(
    ("folder", "file", "there"), [(0o555, 0o444, True), (0o555, 0o644, True), (0o500, 0o400, None)]
)
async def test_what_cannot_be_written_is_read_if_it_can_be(
    open_place: Path, folder: int, file: int, there: bool | None
) -> None:
    directory = open_place / "c"
    await filled(directory, 1)
    for name in directory.iterdir():
        name.chmod(file)
    directory.chmod(folder)
    process = python(READ_ONLY, directory)
    out, err = process.communicate(timeout=60)
    directory.chmod(0o700)
    found = there if there is not None else os.geteuid() != 0  # its owner can read it
    assert (process.returncode, out.split()) == (0, [str(found), "True", "1"]), err
    assert err.count("cannot be used") == 1
    assert await kept(directory, 2) == 1


FULL_DISK = """
    import asyncio, resource, sys
    from pathlib import Path
    from listwise.cache import AnswerCache
    from tests.cache.samples import MODEL, answer, key

    async def main(directory):
        now = 0.0
        cache = AnswerCache(directory, clock=lambda: now)
        await cache.put(key(0), answer(0), MODEL)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        for number in range(1, 40):
            await cache.put(key(number), answer(number, 500), MODEL)
            now += 0.5
        assert await cache.get(key(0)) == answer(0)
        assert await cache.get(key(39)) == answer(39, 500)
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        now += 10
        await cache.put(key(40), answer(40, 500), MODEL)
        cache.close()
        print(cache.counts.dropped)

    asyncio.run(main(Path(sys.argv[1])))
"""


async def test_a_full_disk_fails_nothing_and_loses_nothing_once_there_is_space(tmp_path: Path) -> None:
    process = python(FULL_DISK, tmp_path / "c")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.strip()) == (0, "0"), err
    assert err.count("cannot be used") == 1
    cache = AnswerCache(tmp_path / "c")
    assert [await cache.get(key(number)) for number in range(1, 41)] == [answer(at, 500) for at in range(1, 41)]
    cache.close()
    assert not list((tmp_path / "c").glob("answers-*.db"))[1:]  # nothing was set aside


ON_A_SMALL_DISK = """
    import asyncio, os, subprocess, sys
    from pathlib import Path
    from listwise.cache import AnswerCache
    from tests.cache.samples import MODEL, answer, key, kept

    async def main(disk):
        now = 0.0
        cache = AnswerCache(disk / "c", clock=lambda: now)
        await cache.put(key(0), answer(0), MODEL)
        filler = disk / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        for number in range(1, 200):
            await cache.put(key(number), answer(number, 3000), MODEL)
            now += 0.5
        assert [await cache.get(key(number)) for number in (0, 199)] == [answer(0), answer(199, 3000)]
        other = AnswerCache(disk / "c")  # one that opens it while the disk is full
        assert await other.get(key(0)) in (answer(0), None)
        other.close()
        filler.unlink()
        now += 10
        await cache.put(key(200), answer(200, 3000), MODEL)
        cache.close()
        assert cache.counts.dropped == 0
        assert await kept(disk / "c", 1) == 1
        again = AnswerCache(disk / "c")
        assert [await again.get(key(at)) == answer(at, 3000) for at in range(1, 201)] == [True] * 200
        again.close()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        read_only = AnswerCache(disk / "c")
        assert await read_only.get(key(7)) == answer(7, 3000)
        await read_only.put(key(201), answer(201), MODEL)
        assert await read_only.get(key(201)) == answer(201)
        read_only.close()
        assert read_only.counts.dropped == 1

    asyncio.run(main(Path(sys.argv[1])))
"""


def on_its_own_disk(folder: Path, size: str) -> list[str]:
    """The beginning of a command that sees a disk of its own at a folder; skips the test where that cannot be."""
    mount = f'mount -t tmpfs -o size={size} tmpfs "{folder}"'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    try:
        subprocess.run([*command, mount], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    return [*command, f'{mount} && exec "$@"', "sh"]


def test_a_disk_that_is_full_then_has_space_then_cannot_be_written(tmp_path: Path) -> None:
    command = on_its_own_disk(tmp_path, "3m")
    script = [sys.executable, "-c", textwrap.dedent(ON_A_SMALL_DISK), str(tmp_path)]
    ran = subprocess.run([*command, *script], check=False, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("(detail=") == 3, ran.stderr  # once full, once read-only, once dropped there


async def test_a_cache_that_can_be_written_again_is_written(open_place: Path) -> None:
    directory = open_place / "c"
    await filled(directory, 1)
    script = """
        import asyncio, os, sys
        from pathlib import Path
        from listwise.cache import AnswerCache
        from tests.cache.samples import MODEL, answer, database, key

        async def main(directory):
            now = 0.0
            cache = AnswerCache(directory, clock=lambda: now)
            await cache.get(key(9))
            if os.geteuid() == 0:
                os.chown(directory, 65534, 65534)
                for file in directory.iterdir():
                    os.chown(file, 65534, 65534)
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            database(directory).chmod(0o444)
            await cache.put(key(1), answer(1), MODEL)
            database(directory).chmod(0o600)
            now += 10
            await cache.put(key(2), answer(2), MODEL)
            cache.close()
            print(cache.counts.dropped)

        asyncio.run(main(Path(sys.argv[1])))
    """
    process = python(script, directory)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.strip()) == (0, "0"), err
    assert await kept(directory, 3) == 3
    assert not set_aside(directory)


async def test_a_database_that_is_a_link_is_followed(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 1)
    file = database(tmp_path / "c")
    shutil.move(file, tmp_path / "elsewhere.db")
    file.symlink_to(tmp_path / "elsewhere.db")
    assert await kept(tmp_path / "c", 1) == 1
    file.unlink()
    file.symlink_to(tmp_path / "nowhere.db")
    await filled(tmp_path / "c", 1)
    assert await kept(tmp_path / "c", 1) == 1
    assert not (tmp_path / "nowhere.db").exists()
