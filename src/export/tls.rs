//! TLS to the server: what does `sslmode` promise, and how is the server's certificate judged?
//!
//! Input: [`Security`], read from the connection string. Output: a connector for the driver. Invariants: the words mean what they
//! mean to `psql`: `prefer` and `require` encrypt and don't look at the certificate, `verify-ca` wants one that a trusted
//! authority signed, `verify-full` also wants it to be for this host. Left out: client certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::ui::HintExt;

/// What `sslmode` and `sslrootcert` ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// Whether to encrypt.
    pub mode: SslMode,
    /// What the server's certificate must prove.
    pub verify: Verify,
    /// Trusted authorities (PEM); the system's where absent.
    pub root_certificates: Option<PathBuf>,
}

/// What the server's certificate must prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Nothing.
    Nothing,
    /// A trusted authority signed it.
    Authority,
    /// A trusted authority signed it for this host.
    AuthorityAndHost,
}

impl Security {
    /// Reads the two words; `None` is the default (`prefer`).
    ///
    /// # Errors
    /// For an unknown mode.
    pub fn parse(mode: Option<&str>, root_certificates: Option<&str>) -> Result<Security> {
        let (mode, verify) = match mode.unwrap_or("prefer") {
            "disable" => (SslMode::Disable, Verify::Nothing),
            "allow" | "prefer" => (SslMode::Prefer, Verify::Nothing),
            // As psql does it: who names an authority and asks for encryption wants it checked.
            "require" if root_certificates.is_some() => (SslMode::Require, Verify::Authority),
            "require" => (SslMode::Require, Verify::Nothing),
            "verify-ca" => (SslMode::Require, Verify::Authority),
            "verify-full" => (SslMode::Require, Verify::AuthorityAndHost),
            _ => Err(anyhow!("the connection string's sslmode isn't one that is known"))
                .hint("use sslmode=disable, prefer, require, verify-ca or verify-full")?,
        };
        let root_certificates = root_certificates.filter(|path| *path != "system").map(PathBuf::from);
        Ok(Security { mode, verify, root_certificates })
    }

    /// The driver's connector.
    ///
    /// # Errors
    /// When the trusted authorities can't be read.
    pub fn connector(&self) -> Result<MakeRustlsConnect> {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match self.verify {
            Verify::Nothing => Arc::new(AcceptAny { provider: provider.clone() }),
            Verify::Authority | Verify::AuthorityAndHost => {
                let trusted = self.trusted()?;
                let mut roots = RootCertStore::empty();
                let (added, _) = roots.add_parsable_certificates(trusted.iter().cloned());
                if added == 0 {
                    bail!("there is no usable certificate among the trusted ones");
                }
                let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                    .build()
                    .context("reading the trusted certificates")?;
                // Among the system's authorities nobody put this server's own certificate.
                let pinned = if self.root_certificates.is_some() { trusted } else { vec![] };
                Arc::new(Trusting { inner, pinned, check_host: self.verify == Verify::AuthorityAndHost })
            }
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("setting up TLS")?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }

    fn trusted(&self) -> Result<Vec<CertificateDer<'static>>> {
        match &self.root_certificates {
            Some(path) => read_certificates(path)
                .with_context(|| format!("reading the trusted certificates (sslrootcert) in {}", path.display())),
            None => {
                let found = rustls_native_certs::load_native_certs();
                if found.certs.is_empty() {
                    return Err(anyhow!("the system has no trusted certificates to check the server's against"))
                        .hint("name the authority's certificate with sslrootcert=FILE, or install ca-certificates");
                }
                Ok(found.certs)
            }
        }
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    // Read first: a missing file must say so in the system's words.
    let text = std::fs::read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => bail!("the file holds no certificate in PEM form"),
    }
}

/// `prefer`, `require`: encrypted, by whomever.
#[derive(Debug)]
struct AcceptAny {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// `verify-ca`, `verify-full`.
#[derive(Debug)]
struct Trusting {
    inner: Arc<WebPkiServerVerifier>,
    /// Certificates the user named: the server's own may be among them.
    pinned: Vec<CertificateDer<'static>>,
    check_host: bool,
}

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        match self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The chain is proven before the name is compared.
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
                if !self.check_host =>
            {
                Ok(ServerCertVerified::assertion())
            }
            // PostgreSQL's manual makes self-signed certificates that are their own authority, which web PKI refuses as a
            // server's; psql trusts one that is named. The dates were checked before this.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(other)))
                if is_authority_as_server(&other) && self.pinned.iter().any(|p| p == end_entity) =>
            {
                if self.check_host {
                    rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// webpki's `CaUsedAsEndEntity`, whose type rustls doesn't re-export.
fn is_authority_as_server(error: &rustls::OtherError) -> bool {
    format!("{error:?}").contains("CaUsedAsEndEntity")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mode: Option<&str>, root: Option<&str>, expected: (SslMode, Verify)) {
        let security = Security::parse(mode, root).expect("a known mode");
        assert_eq!((security.mode, security.verify), expected, "{mode:?} {root:?}");
    }

    #[test]
    fn modes_mean_what_they_mean_to_psql() {
        check(None, None, (SslMode::Prefer, Verify::Nothing));
        check(Some("disable"), None, (SslMode::Disable, Verify::Nothing));
        check(Some("require"), None, (SslMode::Require, Verify::Nothing));
        check(Some("require"), Some("ca.crt"), (SslMode::Require, Verify::Authority));
        check(Some("verify-ca"), None, (SslMode::Require, Verify::Authority));
        check(Some("verify-full"), None, (SslMode::Require, Verify::AuthorityAndHost));
        assert!(Security::parse(Some("full"), None).is_err());
    }
}
