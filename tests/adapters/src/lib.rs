//! Everything is in `tests/`.
