import tomllib

from hypothesis import given
from hypothesis import strategies as st

from gonogo.types.toml_lines import key_lines, line_of

DOCUMENT = (
    '''# a comment = "with a key"
top = 1  # [not.a.table]
"quoted key" = """
inside = 5
[nor.this] \\""" ""
"""
dotted . key = 'it''s'
'''.replace("'it''s'", "'its'")
    + '''
[a.b]
list = [
  "one", # two = 2
  "th]ree",
  { x = 1,  y = "}" },
]
inline = { p = 1, q.r = [1, 2] }

[[rows]]
v = 1
[[rows]]
v = 2
[rows.inner]
w = 3
[[rows.many]]
z = """"quoted""""
[[rows.many]]
z = \'\'\'
'\'\'\'
'''
)


def test_every_key_of_a_document_has_the_line_on_which_it_stands():
    lines = key_lines(DOCUMENT)
    rows = DOCUMENT.split("\n")
    places = {
        ("top",): "top = 1",
        ("quoted key",): '"quoted key"',
        ("dotted", "key"): "dotted",
        ("a", "b"): "[a.b]",
        ("a", "b", "list"): "list",
        ("a", "b", "list", 1): '  "th]ree"',
        ("a", "b", "list", 2, "y"): "  { x",
        ("a", "b", "inline", "q", "r"): "inline",
        ("rows", 1, "v"): "v = 2",
        ("rows", 1, "inner", "w"): "w = 3",
        ("rows", 1, "many", 0, "z"): 'z = """"',
        ("rows", 1, "many", 1, "z"): "z = '''",
    }
    for path, start in places.items():
        assert rows[lines[path] - 1].startswith(start), path
    assert lines["rows", 0] == rows.index("[[rows]]") + 1
    assert lines["rows", 1] == rows.index("[[rows]]", lines["rows", 0]) + 1


def test_no_key_is_forgotten():
    assert leaves(tomllib.loads(DOCUMENT)) <= key_lines(DOCUMENT).keys()


def test_what_has_no_line_has_that_of_the_table_around_it():
    lines = key_lines("a = 1\n\n[b]\nc = 1")
    assert line_of(lines, ("b", "missing")) == 3
    assert line_of(lines, ("nowhere",)) == 1


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1), st.integers())))
def test_any_quoted_key_is_found_on_its_line(pairs):
    unique = dict(pairs)
    text = "\n".join(f"{quoted(key)} = {value}" for key, value in unique.items())
    assert [key_lines(text)[(key,)] for key in unique] == list(range(1, len(unique) + 1))


def quoted(key):
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


def leaves(value, path=()):
    if isinstance(value, dict):
        return set().union({path} - {()}, *(leaves(held, (*path, key)) for key, held in value.items()))
    if isinstance(value, list):
        return set().union({path}, *(leaves(held, (*path, i)) for i, held in enumerate(value)))
    return {path}
