"""Labels of rows."""

import numpy as np
import pyarrow as pa
import pytest

from anogan.sources.labels import NormalRows, anomalous_rows


@pytest.mark.parametrize(("labels", "normal"), [(["good", "bad", "good "], "good"), ([" 0", "1 ", "0"], None)])
def test_blanks_at_the_ends_of_labels_do_not_count(labels, normal):
    assert anomalous_rows(np.array(labels), normal, "t.csv").tolist() == [False, True, False]
    rows = pa.table({"label": labels})
    assert NormalRows("t.csv", "label", f"{normal or 0} ")(rows).tolist() == [True, False, True]
