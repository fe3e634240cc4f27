from anogan.sources.notes import ColumnNote, role_note


def test_a_note_advises_in_python_or_for_the_command_line():
    note = role_note("order no", "numbers the rows and is not learned", "number", "learns it")
    assert note.text() == (
        "Column 'order no' numbers the rows and is not learned. columns={'order no': 'number'} learns it."
    )
    assert (
        note.text(shell=True) == "Column 'order no' numbers the rows and is not learned. --number 'order no' learns it."
    )
    date = role_note("when", "holds dates", "date:%d.%m.%Y", "reads the day first")
    assert date.text(shell=True) == "Column 'when' holds dates. --date when:%d.%m.%Y reads the day first."
    assert ColumnNote("x", "is constant").text() == "Column 'x' is constant."
