//! Classify: backfill classification.
