"""A .csv file with a header and a row per sample."""

import pytest

from dashnas.data import DataConfig, TargetKind, prepare
from dashnas.data.csv_table import read_csv
from dashnas.errors import DataError


@pytest.fixture
def csv(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "data.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.mark.parametrize("name", ["y", "Y", "label", "Target", "CLASS"])
def test_the_target_is_the_column_that_is_called_so(csv, name):
    arrays = read_csv(csv(f"a,{name},b\n1,u,2\n3,v,4\n"))
    assert arrays["x"].tolist() == [[1, 2], [3, 4]]
    assert arrays["y"].tolist() == ["u", "v"]


def test_else_it_is_the_last_column(csv):
    assert read_csv(csv("a,b,c\n1,2,0.5\n3,4,1.5\n"))["y"].tolist() == [0.5, 1.5]


@pytest.mark.parametrize(("cells", "dtype"), [(("1", "2"), "int64"), (("1.0", "2"), "float64"), (("1", "two"), "<U3")])
def test_targets_are_integers_then_floats_then_labels(csv, cells, dtype):
    assert read_csv(csv("a,y\n1,{}\n2,{}\n".format(*cells)))["y"].dtype == dtype


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_delimiters_quotes_blank_lines_and_marks(csv, delimiter, encoding):
    text = 'a,"the label",y\r\n1, 2,"x"\r\n\r\n3,4,z\r\n'.replace(",", delimiter)
    arrays = read_csv(csv(text, encoding))
    assert arrays["x"].tolist() == [[1, 2], [3, 4]]
    assert arrays["y"].tolist() == ["x", "z"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(csv):
    assert read_csv(csv("y,a,b\n0,1,2\n1,3,4\n", "utf-8-sig"))["y"].tolist() == [0, 1]


def test_group_and_split_columns(csv):
    rows = "".join(
        f"{i},{i * i},p{i // 4},{part},{i % 2}\n" for i, part in enumerate(["train"] * 20 + ["val"] * 4 + ["TEST"] * 4)
    )
    data = prepare(csv("a,b,group,split,y\n" + rows), DataConfig(), seed=0)
    assert (len(data.train), len(data.validation), len(data.test)) == (20, 4, 4)
    assert set(data.validation.fields["group"]) == {"p5"}
    assert (data.spec.channels, data.spec.spatial_shape) == (1, (2,))
    assert data.spec.target_kind is TargetKind.CLASSES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: expected a header"),
        ("\n\n", "is empty: expected a header"),
        ("a,b,y\n", "is empty: expected a header"),
        ("a,b,y\n1,2,0\n1,2\n", "line 3: 2 cells where the header has 3"),
        ("1,2,0\n3,4,1\n", "has no header: its first line"),
        ("a,a,y\n1,2,0\n", "several columns called 'a'"),
        ("a,label,y\n1,2,0\n", "2 columns that could be the target: label, y"),
        ("a,b,y\n1,2,0\n1,red,1\n", "column 'b' holds 'red' in sample 1, which is not a number"),
        ("a,y\n1,0\n2,\n", "column 'y' lacks the target of sample 1"),
        ("a,y\n1,0.5\n2,NA\n", "column 'y' lacks the target of sample 1"),
        ("0.5,0.25,u\n1,2,v\n3,4,u\n", "has no header: its first line holds numbers and 'u'"),
        (",a,y\n0,1,0\n1,2,1\n", "column 1 has no name; .*index=False"),
        ("a b y\n1 2 0\n3 4 1\n", "no column of inputs.*told apart by commas, semicolons or tabs"),
        ("y\n1\n2\n", "no column of inputs"),
        ("a,split,y\n1,train,0\n2,dev,1\n", "unknown part 'dev' in column 'split'; known: train, val, test"),
        ("a,split,y\n1,val,0\n2,test,1\n", "no sample is marked 'train'"),
    ],
)
def test_a_csv_that_cannot_be_read_is_refused(csv, text, message):
    with pytest.raises(DataError, match=message):
        prepare(csv(text), DataConfig(), seed=0)


def test_other_encodings_are_refused(csv):
    with pytest.raises(DataError, match=r"cannot be read as \.csv text"):
        read_csv(csv("a,y\n1,é\n2,ü\n", "latin-1"))


@pytest.mark.parametrize("missing", ["", "NaN", "inf", "NA"])
def test_missing_inputs_are_refused_or_imputed(csv, missing):
    rows = "".join(f"{i},{missing if i == 3 else i},{i % 2}\n" for i in range(20))
    path = csv("a,b,y\n" + rows)
    with pytest.raises(DataError, match=r"1 value that is NaN or infinite, the first at x\[3, 1\].*--impute"):
        prepare(path, DataConfig(), seed=0)
    data = prepare(path, DataConfig(impute=True), seed=0)
    assert next(data.development.batches(99)).x.isfinite().all()


def test_among_words_none_is_a_label_as_good_as_any(csv):
    assert read_csv(csv("a,y\n1,none\n2,mild\n"))["y"].tolist() == ["none", "mild"]


def test_names_may_be_numbers_such_as_wavelengths(csv):
    assert read_csv(csv("850,852,fat\n1,2,0.5\n3,4,1.5\n"))["x"].tolist() == [[1, 2], [3, 4]]
