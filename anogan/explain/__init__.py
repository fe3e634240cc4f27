"""What made a score: the columns of a row, the pixels of a picture."""
