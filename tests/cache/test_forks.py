"""A cache that was open when its process forked goes on in both, and neither loses an answer to the other."""

from __future__ import annotations

from pathlib import Path

from listwise.cache import AnswerCache
from tests.cache.samples import all_sound, answer, kept, key, python, said

FORK = """
    import asyncio, os, sys
    from pathlib import Path
    from listwise.cache import AnswerCache, Waits
    from tests.cache.samples import MODEL, answer, key

    WAITS = Waits(read_s=60.0, write_s=60.0, busy_s=60.0)

    async def use(cache, first):
        for number in range(first, first + 50):
            await cache.put(key(number), answer(number), MODEL)
            assert await cache.get(key(number)) == answer(number)
        assert await cache.get(key(0)) == answer(0)

    cache = AnswerCache(Path(sys.argv[1]), waits=WAITS)
    asyncio.run(use(cache, 0))
    children = []
    for at in range(1, 4):
        if not (child := os.fork()):
            asyncio.run(use(cache, 50 * at))
            cache.close()
            sys.exit(0)
        children.append(child)
    asyncio.run(use(cache, 200))
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    asyncio.run(use(cache, 250))
    cache.close()
"""


async def test_a_cache_goes_on_after_a_fork_in_both(tmp_path: Path) -> None:
    said(python(FORK, tmp_path / "c"))
    assert await kept(tmp_path / "c", 300) == 300


PARENT_CLOSES = """
    import asyncio, os, sys
    from pathlib import Path
    from listwise.cache import AnswerCache, Waits
    from tests.cache.samples import MODEL, answer, key

    WAITS = Waits(read_s=60.0, write_s=60.0, busy_s=60.0)

    async def use(cache, first):
        for number in range(first, first + 10):
            await cache.put(key(number), answer(number), MODEL)

    cache = AnswerCache(Path(sys.argv[1]), waits=WAITS)
    asyncio.run(use(cache, 0))
    ready, go = os.pipe(), os.pipe()
    if not (child := os.fork()):
        asyncio.run(use(cache, 10))
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        asyncio.run(use(cache, 20))
        cache.close()
        os._exit(0)
    os.read(ready[0], 1)
    cache.close()  # as the last to have it open, as it would think
    again = AnswerCache(Path(sys.argv[1]), waits=WAITS)
    asyncio.run(use(again, 30))
    os.write(go[1], b"x")
    assert os.waitpid(child, 0)[1] == 0
    asyncio.run(use(again, 40))
    again.close()
"""


async def test_a_child_loses_nothing_when_its_parent_closes_the_cache(tmp_path: Path) -> None:
    """SQLite believes in a forked process that it has its parent's locks."""
    said(python(PARENT_CLOSES, tmp_path / "c"))
    assert await kept(tmp_path / "c", 50) == 50
    assert all_sound(tmp_path / "c")


FORKS_AT_WORK = """
    import asyncio, os, sys, threading
    from pathlib import Path
    from listwise.cache import AnswerCache, Waits
    from tests.cache.samples import MODEL, answer, key

    WAITS = Waits(read_s=60.0, write_s=60.0, busy_s=60.0)

    async def use(cache, first, count):
        for number in range(first, first + count):
            await cache.put(key(number), answer(number), MODEL)

    cache = AnswerCache(Path(sys.argv[1]), waits=WAITS)
    busy = threading.Thread(target=lambda: asyncio.run(use(cache, 0, 400)))
    busy.start()
    children = []
    for at in range(10):
        if not (child := os.fork()):
            asyncio.run(use(cache, 1000 + 10 * at, 10))
            cache.close()
            os._exit(0)
        children.append(child)
    assert {os.waitpid(child, 0)[1] for child in children} == {0}
    busy.join()
    cache.close()
"""


async def test_forks_in_the_middle_of_writes_lose_nothing(tmp_path: Path) -> None:
    said(python(FORKS_AT_WORK, tmp_path / "c"))
    cache = AnswerCache(tmp_path / "c")
    numbers = [*range(400), *range(1000, 1100)]
    assert [at for at in numbers if await cache.get(key(at)) != answer(at)] == []
    cache.close()
    assert all_sound(tmp_path / "c")


HANGS = """
    import asyncio, os, sqlite3, sys, threading
    from pathlib import Path
    from listwise.cache import AnswerCache, Waits, forking
    from tests.cache.samples import MODEL, answer, database, key

    async def main(cache, lock):
        await cache.put(key(0), answer(0), MODEL)
        lock.execute("BEGIN IMMEDIATE")
        await cache.put(key(1), answer(1), MODEL)  # its thread waits for the lock

    directory = Path(sys.argv[1])
    forking.WAIT_S = 0.05
    cache = AnswerCache(directory, waits=Waits(write_s=0.01, busy_s=60.0))
    asyncio.run(cache.put(key(0), answer(0), MODEL))
    lock = sqlite3.connect(database(directory), isolation_level=None, check_same_thread=False)
    asyncio.run(main(cache, lock))
    if not (child := os.fork()):
        assert asyncio.run(cache.get(key(0))) is None
        asyncio.run(cache.put(key(2), answer(2), MODEL))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    lock.execute("ROLLBACK")
    cache.close()
"""


async def test_a_child_of_a_fork_that_could_not_wait_has_no_cache(tmp_path: Path) -> None:
    said(python(HANGS, tmp_path / "c"))
    assert await kept(tmp_path / "c", 3) == 2
