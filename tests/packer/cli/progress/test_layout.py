from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.cli.progress.board import Overview, State, Status
from kitbag_packer.cli.progress.layout import Space, lay_out

KEY = "cpython-3.13.5-linux-x86_64-gnu"


def status(number=0, label=KEY, state=State.RUNNING, done=12_300_000, total=27_700_000,
           rate=1234.0, left=24_630.0, **more):  # fmt: skip
    return Status(number, label, state, done, total, done, rate, left, 60.0, **more)


def view(*each, count=None, finished=0):
    done = sum(one.done for one in each)
    surely = all(one.total is not None for one in each)
    total = sum(one.total or one.done for one in each)
    whole = status(-1, "", done=done, total=total, left=24_630.0 if surely else None)
    return Overview(each, whole, len(each) if count is None else count, finished, 0, surely)


def text(rows):
    return ["".join(piece for piece, _ in row).rstrip() for row in rows]


def shown(overview, works=(), width=100, height=20, plain=False):
    return text(lay_out(overview, works, Space(width, height, plain), {}, 0.0))


def test_one_download_has_no_line_for_the_whole():
    assert shown(view(status()), width=120) == [
        f"{KEY}  {'━' * 13}{'─' * 17}  44%  12.3 of 27.7 MB  1.2 kB/s  6 h 50 min left"
    ]
    assert shown(view(status()), width=120, plain=True) == [
        f"{KEY}  {'=' * 13}{' ' * 17}  44%  12.3 of 27.7 MB  1.2 kB/s  6 h 50 min left"
    ]


def test_columns_stand_below_each_other_and_give_way():
    overview = view(
        status(),
        status(1, "pypy-3.11.13-windows-x86_64-none", done=2_000_000, total=31_000_000,
               rate=33.0, left=10.0 * 86400),
        status(2, "graalpy-3.12.0-linux-x86_64-gnu", total=None, done=5, left=None, rate=None),
        count=30, finished=2,
    )  # fmt: skip
    assert shown(overview, width=79) == [
        "cpython-3.13.5…nux-x86_64-gnu  44%   12.3 of 27.7 MB  1.2 kB/s  6 h 50 min left",
        "pypy-3.11.13-w…ws-x86_64-none   6%    2.0 of 31.0 MB    33 B/s  10 days left",
        "graalpy-3.12.0…nux-x86_64-gnu                    5 B",
        "2 of 30 done                        14.3 of 58.7+ MB  1.2 kB/s",
    ]
    for width in (20, 40, 60, 79, 100, 150):
        rows = shown(overview, width=width)
        assert len(rows) == 4
        assert all(len(row) <= width for row in rows)
        assert rows[0].startswith("cpython")
        assert rows[3].startswith("2 of 30 done")
    narrow = shown(overview, width=40)
    assert narrow[0].endswith("  44%  6 h 50 min left")
    assert "gnu" in narrow[0]


def test_a_wait_says_when_it_goes_on():
    paused = status(state=State.PAUSED, reason="connection reset by\x1b peer", resumes_in=12.0,
                    attempt=2)  # fmt: skip
    (row,) = shown(view(paused))
    assert row == f"{KEY}  connection reset by\\x1b peer; again in 12 s (try 3)"
    (row,) = shown(view(paused), width=66)
    assert row == f"{KEY}  connectio…; again in 12 s (try 3)"
    (row,) = shown(view(paused), width=40)
    assert row.endswith("  again in 12 s (try 3)")
    assert row.startswith("cpython-")


def test_what_is_there_is_checked_and_what_is_unknown_is_left_open():
    (row,) = shown(view(status(done=100, total=100, left=0.0)))
    assert row.endswith("checking")
    (row,) = shown(view(status(rate=0.0, left=None)))
    assert row.endswith("0 B/s")
    (row,) = shown(view(status(total=None, left=None)))
    assert row == f"{KEY}  12.3 MB  1.2 kB/s"


def test_other_work_stands_below_downloads():
    work = status(-2, "tools.tar.gz", done=50, total=100, left=5.0)
    rows = shown(view(status(), count=2), [work])
    assert rows[1].startswith("tools.tar.gz")
    assert "50%" in rows[1]
    assert rows[2].startswith("0 of 2 done")


def test_many_downloads_fit_the_terminal():
    overview = view(*(status(number) for number in range(30)))
    for height in range(1, 40):
        rows = shown(overview, height=height)
        assert len(rows) == min(height, 31)
        assert rows[-1].startswith("0 of 30 done")
    assert shown(overview, height=5)[3] == "and 27 more"


SIZES = st.one_of(st.none(), st.integers(0, 10**13))


@given(
    st.lists(
        st.builds(
            status,
            label=st.text(max_size=60),
            state=st.sampled_from(State),
            done=st.integers(0, 10**13),
            total=SIZES,
            rate=st.one_of(st.none(), st.floats(0, 1e12)),
            left=st.one_of(st.none(), st.floats(0, 1e15)),
            reason=st.text(max_size=200),
            resumes_in=st.floats(0, 1e6),
            attempt=st.integers(1, 10**6),
        ),
        max_size=6,
    ),
    st.integers(1, 200),
    st.integers(1, 30),
)
def test_nothing_is_wider_or_higher_than_the_terminal(each, width, height):
    rows = shown(view(*each, count=7), width=width, height=height)
    assert 1 <= len(rows) <= height
    for row in rows:
        assert len(row) <= width
        assert row.isprintable()
