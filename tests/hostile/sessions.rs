use crate::rows::Row;

pub(crate) const ROWS: &[Row] = &[];
