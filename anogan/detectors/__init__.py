"""The detectors, one file each: a module that reads like its paper and the scikit-learn estimator that builds it."""
