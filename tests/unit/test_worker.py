"""What a worker of a cluster adds to a batch is what `anogan.score_file` writes, without any cluster."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

import anogan
from anogan.batch.worker import Work


@pytest.mark.parametrize("content", [False, True])
def test_pictures_by_path_or_content(tmp_path, content):
    rng = np.random.default_rng(0)
    (tmp_path / "new").mkdir()
    files = [tmp_path / "new" / f"{i:02d}.png" for i in range(12)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(file)
    detector = anogan.GANomaly(**anogan.GANomaly.tiny, random_state=0, device="cpu")
    detector.fit(anogan.ImageFolder(tmp_path / "new", size=8)).save(tmp_path / "m.anogan")
    files[3].write_bytes(b"not a picture")
    anogan.score_file(tmp_path / "new", tmp_path / "m.anogan", tmp_path / "local.parquet", on_error="skip")
    local = pd.read_parquet(tmp_path / "local.parquet")
    table = pa.table({"image": [file.read_bytes() if content else f"file:{file}" for file in files]})
    work = Work(("score", "p_value", "flag", "status"), column="image")
    scored = work.checked(detector, table.schema).scored(detector, table)
    score, p_value, flag, status = (scored[name].to_pandas() for name in work.output)
    assert status.str.contains("not a picture").tolist() == [i == 3 for i in range(12)]
    np.testing.assert_array_equal(score.dropna(), local["score"])
    np.testing.assert_array_equal(p_value.dropna(), local["p_value"])
    assert flag.isna().tolist() == [i == 3 for i in range(12)]
