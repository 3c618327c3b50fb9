from kitbag_bundles.reporting import Progress, Reporter, SilentReporter


def work(reporter: Reporter) -> Progress:
    reporter.info("a step")
    reporter.warn("a doubt")
    with reporter.progress("unpacking", 10) as progress:
        progress.advance(4)
        progress.advance(6)
    return progress


def test_the_silent_reporter_takes_everything_and_says_nothing(capfd):
    work(SilentReporter())
    assert capfd.readouterr() == ("", "")


def test_the_silent_progress_lets_errors_through():
    try:
        with SilentReporter().progress("unpacking", 0):
            raise ZeroDivisionError
    except ZeroDivisionError:
        return
    raise AssertionError("the error was lost")
