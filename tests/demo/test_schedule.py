from kelp.demo.schedule import Schedule

S = 1_000_000_000


def test_each_step_happens_at_its_own_time():
    schedule = Schedule(100 * S)
    seen = []

    def program(name, delay):
        for _ in range(3):
            seen.append((name, schedule.now_ns - 100 * S))
            yield delay

    schedule.spawn(program("a", 1.0))
    schedule.spawn(program("b", 0.5), after_s=0.25)
    schedule.run_until(101 * S)
    assert seen == [("a", 0), ("b", S // 4), ("b", 3 * S // 4), ("a", S)]
    schedule.run_until(102 * S)
    assert seen[4:] == [("b", 5 * S // 4), ("a", 2 * S)]
    assert schedule.now_ns == 102 * S


def test_how_often_one_looks_changes_nothing():
    def steps(times):
        schedule = Schedule(0)
        seen = []

        def program(name, delay):
            while True:
                seen.append((name, schedule.now_ns))
                yield delay

        schedule.spawn(program("a", 0.3))
        schedule.spawn(program("b", 0.3))
        for t in times:
            schedule.run_until(t)
        return seen

    assert steps([10 * S]) == steps([*range(0, 10 * S, S // 7), 10 * S])


def test_time_never_goes_back():
    schedule = Schedule(5 * S)
    schedule.run_until(3 * S)
    assert schedule.now_ns == 5 * S
