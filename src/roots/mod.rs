//! Roots: root job resolution.
