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
    /// Settings of `export`.
    pub export: ExportConfig,
}

/// `[export]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExportConfig {
    /// What is masked, as `--mask` has it: `"users.email" = "hash"`, or `email = "hash"` below `[export.mask.users]`.
    pub mask: toml::Table,
}

impl ExportConfig {
    /// The masks as pairs of target and rule.
    ///
    /// # Errors
    /// A value that is neither a rule nor a table of them.
    pub fn masks(&self) -> Result<Vec<(String, String)>> {
        fn add(prefix: &str, table: &toml::Table, found: &mut Vec<(String, String)>) -> Result<()> {
            for (key, value) in table {
                let target = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                match value {
                    toml::Value::String(rule) => found.push((target, rule.clone())),
                    toml::Value::Table(table) => add(&target, table, found)?,
                    _ => bail!("[export.mask] {target}: expected a rule such as \"hash\""),
                }
            }
            Ok(())
        }
        let mut found = Vec::new();
        add("", &self.mask, &mut found)?;
        Ok(found)
    }
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
    fn masks_may_be_nested() {
        let text = "[export.mask]\n\"users.metadata.email\" = \"hash\"\nphone = \"null\"\n[export.mask.users]\nemail = \"fake\"\n";
        let config: Config = toml::from_str(text).expect("valid");
        let mut masks = config.export.masks().expect("rules");
        masks.sort();
        let pair = |target: &str, rule: &str| (target.to_owned(), rule.to_owned());
        assert_eq!(masks, [pair("phone", "null"), pair("users.email", "fake"), pair("users.metadata.email", "hash")]);
        let config: Config = toml::from_str("[export.mask]\nphone = 1\n").expect("TOML");
        assert!(config.export.masks().is_err());
    }

    #[test]
    fn the_command_line_wins() {
        let mut config: Config = toml::from_str("[columns]\njob_id = \"a\"\n").expect("valid");
        config.map_columns(&["job_id=b".to_owned()]).expect("valid");
        assert_eq!(config.columns["job_id"], "b");
    }
}
