//! Judgements that no fixture shows.
