//! Export: PostgreSQL -> Arrow -> Parquet.
