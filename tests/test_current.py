import numpy as np

from evsim.engine.current import Current


def write(rows, place, value):
    rows.value[place] += value
    rows.touched[place] = 1


def test_a_step_nobody_wrote_is_zero_and_untouched():
    rows = Current(3, 2).rows(5)
    assert rows.value.dtype == np.float32
    assert rows.value.shape == (3, 2)
    assert not rows.value.any()
    assert not rows.touched.any()


def test_steps_are_kept_apart_and_writes_stay():
    current = Current(3, 2)
    write(current.rows(0), 1, 4.0)
    assert current.rows(0).value.tolist() == [[0, 0], [4, 4], [0, 0]]
    assert not current.rows(1).value.any()


def test_biases_of_the_writers_add_and_a_reader_sees_those_before_it():
    current = Current(1, 2)
    current.join_writer("conv", np.array([0.5, -1.0]))
    assert current.join_reader("early")[0].tolist() == [0.5, -1.0]
    current.join_writer("sum")
    current.join_writer("shortcut", np.array([0.25, 0.25]))
    bias, writers = current.join_reader("late")
    assert (bias.tolist(), bias.dtype) == ([0.75, -0.75], np.float32)
    assert writers == ("conv", "sum", "shortcut")


def test_biases_add_in_float64_before_they_are_rounded():
    current = Current(1, 1)
    for name, bias in (("a", 1e8), ("b", 1.25), ("c", -1e8)):
        current.join_writer(name, np.array([bias]))
    assert current.join_reader("neurons")[0].tolist() == [1.25]


def test_only_the_last_reader_gives_the_rows_back():
    current = Current(2, 1)
    current.join_reader("first")
    current.join_reader("last")
    write(current.rows(0), 0, 3.0)
    current.release(0, "first")
    assert current.rows(0).value.tolist() == [[3], [0]]
    current.release(0, "last")
    assert not current.rows(0).value.any()
    assert not current.rows(0).touched.any()


def test_rows_given_back_are_used_again_and_clean():
    current = Current(2, 2)
    current.join_reader("neurons")
    first = current.rows(0)
    write(first, 1, 7.0)
    current.release(0, "neurons")
    second = current.rows(9)
    assert second is first
    assert not second.value.any()
    assert not second.touched.any()


def test_releasing_a_step_nobody_wrote_is_harmless():
    current = Current(2, 2)
    current.join_reader("neurons")
    current.release(4, "neurons")
    assert not current.rows(4).touched.any()


def test_reset_forgets_every_step():
    current = Current(2, 1)
    for step in range(3):
        write(current.rows(step), 0, 1.0)
    current.reset()
    assert not any(current.rows(step).value.any() or current.rows(step).touched.any() for step in range(3))
