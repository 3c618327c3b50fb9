import threading

from kitbag_packer.cli.progress.ticker import Ticker


def test_it_calls_until_it_is_stopped():
    calls, enough = [], threading.Event()

    def work():
        calls.append(threading.current_thread())
        if len(calls) == 3:
            enough.set()

    ticker = Ticker(0.001, work)
    ticker.start()
    assert enough.wait(10)
    ticker.stop()
    count = len(calls)
    assert threading.current_thread() not in calls
    ticker.stop()
    assert len(calls) == count


def test_a_fault_ends_it_silently(capfd):
    called = threading.Event()

    def work():
        called.set()
        raise ZeroDivisionError

    ticker = Ticker(0.001, work)
    ticker.start()
    assert called.wait(10)
    ticker.stop()
    assert capfd.readouterr() == ("", "")
    Ticker(1, work).stop()  # was never started
