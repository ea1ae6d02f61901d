//! The salt: where does the secret of an export's masks come from?
//!
//! Input: a file, or the value of a variable of the environment, else chance. Output: a [`Secret`], and what may be told of it.
//! Invariants: the salt is never stored or shown; one that could be guessed is refused.

use std::path::Path;

use anyhow::{Context, Result, anyhow};

use super::secret::Secret;
use crate::ui::hinted;

/// Bytes of a salt at least.
const LEAST_BYTES: usize = 16;

/// The key of an export, and where it comes from.
pub struct Salted {
    /// The key.
    pub secret: Secret,
    /// It was made by chance, and is gone when the export ends.
    pub random: bool,
}

/// The salt as the user has it.
pub enum Salt {
    /// The content of a file, white space at its ends aside.
    File(std::path::PathBuf),
    /// The value of a variable of the environment: its name, and what it holds.
    Variable(String, String),
    /// None.
    Absent,
}

impl Salt {
    /// The key.
    ///
    /// # Errors
    /// A file that can't be read, or a salt that is too short.
    pub fn secret(&self) -> Result<Salted> {
        match self {
            Salt::File(path) => {
                let bytes = std::fs::read(path).with_context(|| format!("reading the salt in {}", path.display()))?;
                given(bytes.trim_ascii(), &shown(path))
            }
            Salt::Variable(name, value) => given(value.as_bytes(), name),
            Salt::Absent => {
                let mut salt = [0u8; 32];
                let chance = rustls::crypto::ring::default_provider().secure_random;
                chance.fill(&mut salt).map_err(|_| anyhow!("the system gives no random numbers"))?;
                Ok(Salted { secret: Secret::new(&salt), random: true })
            }
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn given(salt: &[u8], source: &str) -> Result<Salted> {
    if salt.len() < LEAST_BYTES {
        return Err(hinted(
            anyhow!("the salt in {source} has {} bytes: masked values could be found by trying", salt.len()),
            format!("a salt has {LEAST_BYTES} bytes or more, e.g. of `openssl rand -hex 32`"),
        ));
    }
    Ok(Salted { secret: Secret::new(salt), random: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_is_long_enough_or_by_chance() {
        assert!(Salt::Variable("S".into(), "short".into()).secret().is_err());
        let given = || Salt::Variable("S".into(), "0123456789abcdef".into()).secret().expect("long enough");
        assert_eq!(given().secret.fingerprint(), given().secret.fingerprint());
        let chance = || Salt::Absent.secret().expect("chance").secret.fingerprint();
        assert_ne!(chance(), chance());
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "0123456789abcdef\n").expect("written");
        let read = Salt::File(file.path().to_owned()).secret().expect("long enough");
        assert_eq!(read.secret.fingerprint(), given().secret.fingerprint());
    }
}
