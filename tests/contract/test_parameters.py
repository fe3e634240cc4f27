"""The style backbone; that each parameter changes something is checked by `anogan.testing`."""

import numpy as np

from anogan.nn.style import StyleDecoder

from .conftest import WITHOUT_STYLE


def test_style_changes_the_scores_of_detectors_with_its_generators(vector_case):
    case = vector_case.on("grey")
    fitted = case.fit(backbone="style")
    # U-Nets and critics are those of dcgan in style too.
    own = any(isinstance(part, StyleDecoder) for part in fitted.module_.modules())
    changed = fitted.anomaly_score(case.new) != case.fitted.anomaly_score(case.new)
    np.testing.assert_array_equal(changed, own)
    assert own != (vector_case.name in WITHOUT_STYLE)
