//! Text functions.

use super::{Arguments, Given, Native};

pub(super) const FUNCTIONS: &[(&str, Native)] = &[("pg_initcap", Native::Text(initcap))];

/// `initcap`: the first letter of each word in upper case, all others in lower case; a word is a run of letters and digits.
fn initcap(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text)] = arguments else { return Ok(None) };
    let mut inside = false;
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        match inside {
            true => result.extend(c.to_lowercase()),
            false => result.extend(c.to_uppercase()),
        }
        inside = c.is_alphanumeric();
    }
    Ok(Some(result))
}
