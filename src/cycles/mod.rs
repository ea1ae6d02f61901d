//! Cycles: every circular reference among jobs.
