//! `rehearsal.toml`: what a project says once instead of on every command line.
//!
//! Input: the file named by `--config`, or `rehearsal.toml` in the working folder where there is one. Output: [`Config`].
//! Invariants: unknown keys are refused, because a misspelt key would be an option that does nothing; the command line wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Default name of the file.
pub const FILE_NAME: &str = "rehearsal.toml";

/// The settings of a project.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Table to analyse where a snapshot holds several.
    pub table: Option<String>,
    /// Canonical column name (`job_id`) to the table's own (`jobId`).
    pub columns: BTreeMap<String, String>,
    /// Settings of `classify`.
    pub classify: ClassifyConfig,
    /// Settings of `roots`.
    pub roots: RootsConfig,
    /// Settings of `growth`.
    pub growth: GrowthConfig,
}

/// `[classify]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifyConfig {
    /// Ladder file, or the name of a built-in one.
    pub rules: Option<String>,
    /// Second ladder to compare with.
    pub against: Option<String>,
}

/// `[roots]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RootsConfig {
    /// Depth at which the recursive backfill stops.
    pub depth_limit: Option<u32>,
    /// Variant of the backfill.
    pub variant: Option<String>,
}

/// `[growth]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrowthConfig {
    /// Album counts to project to.
    pub albums: Vec<u64>,
    /// What-if logs per album.
    pub logs_per_album: Option<f64>,
    /// Sizes whose crossing is dated, e.g. `"500MB"`.
    pub thresholds: Vec<String>,
}

impl Config {
    /// Reads the file asked for, or the default one where it exists, or nothing.
    ///
    /// # Errors
    /// A file asked for that can't be read; any file that isn't valid, with the place.
    pub fn load(asked: Option<&Path>) -> Result<Config> {
        let (path, required) = match asked {
            Some(path) => (path.to_owned(), true),
            None => (PathBuf::from(FILE_NAME), false),
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if !required && error.kind() == std::io::ErrorKind::NotFound => return Ok(Config::default()),
            Err(error) => return Err(error).with_context(|| format!("reading the configuration {}", path.display())),
        };
        toml::from_str(&text).with_context(|| format!("the configuration {} isn't valid", path.display()))
    }

    /// Adds `canonical=actual` pairs from the command line; they win.
    ///
    /// # Errors
    /// A pair without `=` or with an empty side.
    pub fn map_columns(&mut self, pairs: &[String]) -> Result<()> {
        for pair in pairs {
            match pair.split_once('=') {
                Some((canonical, actual)) if !canonical.is_empty() && !actual.is_empty() => {
                    self.columns.insert(canonical.to_owned(), actual.to_owned());
                }
                _ => bail!("--column {pair}: expected NAME=COLUMN, e.g. job_id=jobId"),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_refused() {
        let error = toml::from_str::<Config>("tabel = \"x\"").expect_err("unknown key");
        assert!(error.to_string().contains("tabel"), "{error}");
    }

    #[test]
    fn the_command_line_wins() {
        let mut config: Config = toml::from_str("[columns]\njob_id = \"a\"\n").expect("valid");
        config.map_columns(&["job_id=b".to_owned()]).expect("valid");
        assert_eq!(config.columns["job_id"], "b");
    }
}
