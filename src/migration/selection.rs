//! Which migrations of many are wanted?
//!
//! Input: names in order and a [`Selection`]. Output: the chosen range. Invariants: a name is matched exactly, else by the one
//! name that starts with it; nothing is chosen by guess. Left out: reading.

use anyhow::{Result, anyhow, bail};

use crate::ui::hinted;

/// Migrations to take, by name; all where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The first.
    pub from: Option<String>,
    /// The last.
    pub to: Option<String>,
    /// The only one.
    pub only: Option<String>,
}

impl Selection {
    /// The range of the names that is chosen.
    ///
    /// # Errors
    /// A name that is none or several, or an end before the start.
    pub(super) fn range(&self, names: &[String]) -> Result<std::ops::Range<usize>> {
        if let Some(only) = &self.only {
            let at = find(names, only)?;
            return Ok(at..at + 1);
        }
        let from = self.from.as_ref().map_or(Ok(0), |name| find(names, name))?;
        let to = self.to.as_ref().map_or(Ok(names.len()), |name| find(names, name).map(|at| at + 1))?;
        if from >= to && !names.is_empty() {
            bail!("the migration {} comes after {}, so nothing lies between them", names[from], names[to - 1]);
        }
        Ok(from..to)
    }
}

fn find(names: &[String], wanted: &str) -> Result<usize> {
    if let Some(at) = names.iter().position(|name| name == wanted) {
        return Ok(at);
    }
    let matching: Vec<usize> = (0..names.len()).filter(|&i| names[i].starts_with(wanted)).collect();
    match matching.as_slice() {
        [at] => Ok(*at),
        [] => Err(hinted(anyhow!("there is no migration {wanted}"), near(names, wanted))),
        several => {
            let list: Vec<&str> = several.iter().take(5).map(|&i| names[i].as_str()).collect();
            Err(hinted(
                anyhow!("{} migrations start with {wanted}", several.len()),
                format!("write more of the name: {}", list.join(", ")),
            ))
        }
    }
}

fn near(names: &[String], wanted: &str) -> String {
    let mut ranked: Vec<(bool, f64, &str)> =
        names.iter().map(|name| (!name.contains(wanted), -strsim::jaro_winkler(name, wanted), name.as_str())).collect();
    ranked.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(b.2)));
    let list: Vec<&str> = ranked.iter().take(5).map(|(_, _, name)| *name).collect();
    format!("there is {}{}", list.join(", "), if names.len() > 5 { " …" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["20260101_init", "20260102_add_category", "20260102_add_root", "20260103_add"];

    fn check(from: &str, to: &str, only: &str, expected: Result<std::ops::Range<usize>, &str>) {
        let name = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let selection = Selection { from: name(from), to: name(to), only: name(only) };
        let names = NAMES.map(str::to_owned);
        let found = selection.range(&names).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{selection:?}");
    }

    #[test]
    fn names_are_matched_whole_or_by_their_start() {
        check("", "", "", Ok(0..4));
        check("20260102_add_category", "", "", Ok(1..4));
        check("", "20260101", "", Ok(0..1));
        check("20260102_add_c", "20260102_add_r", "", Ok(1..3));
        check("", "", "20260103", Ok(3..4));
    }

    #[test]
    fn nothing_is_guessed() {
        check("", "", "20260102", Err("2 migrations start with 20260102"));
        check("", "", "add_root", Err("there is no migration add_root"));
        check(
            "20260103",
            "20260101",
            "",
            Err("the migration 20260103_add comes after 20260101_init, so nothing lies between them"),
        );
    }

    #[test]
    fn near_names_are_offered() {
        assert_eq!(near(&NAMES.map(str::to_owned), "add_root").split(", ").next(), Some("there is 20260102_add_root"));
    }
}
