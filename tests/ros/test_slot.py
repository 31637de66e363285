"""One place between two threads: offering replaces, putting waits, closing frees everybody."""

import threading
import time

from hmr_ros.ros.slot import Slot


def in_thread(call):
    done = []
    thread = threading.Thread(target=lambda: done.append(call()), daemon=True)
    thread.start()
    return thread, done


def test_the_newest_offer_is_what_is_taken():
    slot = Slot()
    assert [slot.offer(k) for k in range(3)] == [False, True, True]
    assert slot.is_full() and slot.take() == 2 and not slot.is_full()


def test_putting_waits_until_the_place_is_free():
    slot = Slot()
    slot.put("a")
    thread, _ = in_thread(lambda: slot.put("b"))
    time.sleep(0.05)
    assert thread.is_alive()
    assert slot.take() == "a"
    thread.join(5)
    assert slot.take() == "b"


def test_nothing_is_lost_between_two_threads():
    slot, got = Slot(), []
    thread, _ = in_thread(lambda: got.extend(slot.take() for _ in range(200)))
    for k in range(200):
        slot.put(k)
    thread.join(10)
    assert got == list(range(200))


def test_closing_frees_who_takes_and_who_puts():
    empty, full = Slot(), Slot()
    full.put(1)
    taking, taken = in_thread(empty.take)
    putting, _ = in_thread(lambda: full.put(2))
    for slot in (empty, full):
        slot.close()
    for thread in (taking, putting):
        thread.join(5)
        assert not thread.is_alive()
    assert taken == [None]
