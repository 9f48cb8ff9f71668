"""A team over threads: a second implementation of the interface, for tests."""

import threading

from charrnn.backend.team import Team


class ThreadTeam(Team):
    """One member of a team of threads; :func:`run` makes all of them."""

    def __init__(self, rank, size, barrier, given):
        self.rank, self.size = rank, size
        self._barrier, self._given = barrier, given

    def _all(self, value):
        """Return what every member gave, by rank."""
        self._given[self.rank] = value
        self._barrier.wait()
        found = list(self._given)
        self._barrier.wait()
        return found

    def sum(self, flat):
        parts = self._all(flat.copy())
        flat[...] = parts[0]
        for part in parts[1:]:
            flat[...] += part

    def gather(self, data):
        assert isinstance(data, bytes)
        return self._all(data)


class Meeting:
    """A barrier that stops those who wait for a member that has gone, and nobody else.

    ``threading.Barrier.abort`` also stops a thread whose wait is over, but that has not run since.
    """

    def __init__(self, size, timeout):
        self._size, self._timeout = size, timeout
        self._changed = threading.Condition()
        self._waiting = self._turn = 0
        self.broken = False

    def wait(self):
        with self._changed:
            turn = self._turn
            self._waiting += 1
            if self._waiting == self._size:
                self._waiting, self._turn = 0, turn + 1
                self._changed.notify_all()
            while self._turn == turn:
                if self.broken or not self._changed.wait(self._timeout):
                    self.broken = True
                    raise threading.BrokenBarrierError

    def abort(self):
        with self._changed:
            self.broken = True
            self._changed.notify_all()


def on_threads(size, work, broken=lambda: None):
    """Return what ``work(rank)`` returns, by rank, run on ``size`` threads at once.

    If one fails, ``broken`` is called, and its exception is raised.
    """
    results, failures = [None] * size, []

    def member(rank):
        try:
            results[rank] = work(rank)
        except threading.BrokenBarrierError:
            pass
        except BaseException as problem:
            failures.append(problem)
            broken()

    threads = [threading.Thread(target=member, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


def run(size, member, timeout=60):
    """Return what ``member(team)`` returns, by rank, run on ``size`` threads at once.

    If one member fails, the others stop waiting, and its exception is raised.
    """
    barrier, given = Meeting(size, timeout), [None] * size

    def work(rank):
        return member(ThreadTeam(rank, size, barrier, given))

    results = on_threads(size, work, barrier.abort)
    assert not barrier.broken, "the members did not make the same calls"
    return results
