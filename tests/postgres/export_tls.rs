//! TLS to the server, as sslmode asks for it.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::fixtures::rehearsal;
use crate::server::{Database, Options, Server};

/// A server whose certificate is for `localhost` alone, and wants TLS of `tls_only`.
struct Secure {
    server: Server,
    database: Database,
    folder: tempfile::TempDir,
}

/// Certificate and key of the server, and the certificate to trust.
struct Certificates {
    server: String,
    key: String,
    trusted: String,
}

/// Signed by an authority.
fn signed() -> Certificates {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
    let authority_key = KeyPair::generate().expect("a key");
    let trusted = authority.self_signed(&authority_key).expect("a certificate").pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(["localhost".to_owned()]).expect("a name").signed_by(&key, &issuer);
    Certificates { server: server.expect("a certificate").pem(), key: key.serialize_pem(), trusted }
}

/// Its own authority, as `openssl req -x509` in PostgreSQL's manual makes it.
fn self_signed() -> Certificates {
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    Certificates { server: certificate.clone(), key: key.serialize_pem(), trusted: certificate }
}

impl Secure {
    fn start(certificates: &Certificates) -> Secure {
        let server = Server::start(&Options {
            hba: Some("local all all trust\nhostssl all all all trust\n"),
            settings: &[("ssl", "on")],
            files: &[("server.crt", &certificates.server), ("server.key", &certificates.key)],
            initdb: &[],
        });
        let database = server.database();
        // The row says whether the session that reads it is encrypted.
        database.run("CREATE VIEW t AS SELECT ssl, version AS tls FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("trusted.pem"), &certificates.trusted).expect("a file");
        Secure { server, database, folder }
    }

    /// Exports with these parameters; `Ok` is whether the session was encrypted, `Err` is stderr.
    fn export(&self, host: &str, parameters: &str) -> Result<bool, String> {
        let url = format!("postgresql://postgres@{host}:{}/{}?{parameters}", self.server.port, self.database.name);
        let _ = std::fs::remove_dir_all(self.folder.path().join("snap"));
        let output = rehearsal(self.folder.path(), &["export", "--url", &url, "--table", "t", "--out", "snap"]);
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(2));
            return Err(String::from_utf8(output.stderr).expect("UTF-8"));
        }
        let rows = crate::fixtures::rows(&self.folder.path().join("snap/t.parquet"), &["ssl"]);
        Ok(rows == [[Some("true".to_owned())]])
    }

    fn refused(&self, host: &str, parameters: &str, says: &[&str]) {
        let stderr = self.export(host, parameters).expect_err(parameters);
        for line in says {
            assert!(stderr.contains(line), "{parameters}: no {line:?} in\n{stderr}");
        }
    }
}

#[test]
fn each_mode_does_what_it_does_for_psql() {
    let secure = Secure::start(&signed());
    let roots = "sslrootcert=trusted.pem";
    // Encrypted, by whomever.
    assert_eq!(secure.export("127.0.0.1", ""), Ok(true));
    assert_eq!(secure.export("127.0.0.1", "sslmode=prefer"), Ok(true));
    assert_eq!(secure.export("127.0.0.1", "sslmode=require"), Ok(true));
    // Signed by an authority that is trusted.
    assert_eq!(secure.export("127.0.0.1", &format!("sslmode=verify-ca&{roots}")), Ok(true));
    assert_eq!(secure.export("127.0.0.1", &format!("sslmode=require&{roots}")), Ok(true));
    assert_eq!(secure.export("localhost", &format!("sslmode=verify-full&{roots}")), Ok(true));
    // For another name.
    secure.refused(
        "127.0.0.1",
        &format!("sslmode=verify-full&{roots}"),
        &["no trusted connection", "under a name that the certificate bears"],
    );
    // By an authority that isn't.
    secure.refused("localhost", "sslmode=verify-full", &["no trusted connection", "UnknownIssuer", "sslrootcert=FILE"]);
    secure.refused("localhost", "sslmode=verify-ca", &["UnknownIssuer"]);
    secure.refused("localhost", "sslmode=disable", &["pg_hba.conf", "no pg_hba.conf entry", "try sslmode=require"]);
    std::fs::write(secure.folder.path().join("empty.pem"), "not a certificate").expect("a file");
    secure.refused("localhost", "sslmode=verify-full&sslrootcert=empty.pem", &["holds no certificate in PEM form"]);
    secure.refused("localhost", "sslmode=verify-full&sslrootcert=missing.pem", &["missing.pem", "No such file"]);
    // A certificate of somebody else.
    std::fs::write(secure.folder.path().join("trusted.pem"), signed().trusted).expect("a file");
    secure.refused("localhost", &format!("sslmode=verify-ca&{roots}"), &["no trusted connection"]);
}

#[test]
fn a_self_signed_certificate_can_be_trusted_by_name() {
    let secure = Secure::start(&self_signed());
    let roots = "sslrootcert=trusted.pem";
    assert_eq!(secure.export("localhost", &format!("sslmode=verify-full&{roots}")), Ok(true));
    assert_eq!(secure.export("127.0.0.1", &format!("sslmode=verify-ca&{roots}")), Ok(true));
    secure.refused("127.0.0.1", &format!("sslmode=verify-full&{roots}"), &["under a name that the certificate bears"]);
    std::fs::write(secure.folder.path().join("trusted.pem"), self_signed().trusted).expect("a file");
    secure.refused("localhost", &format!("sslmode=verify-ca&{roots}"), &["no trusted connection"]);
}

#[test]
fn a_server_without_tls() {
    let database = crate::server::database();
    database.run("CREATE VIEW t AS SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    let folder = tempfile::tempdir().expect("a folder");
    let export = |parameters: &str| {
        let url = format!("{}?{parameters}", database.url);
        rehearsal(folder.path(), &["export", "--url", &url, "--table", "t", "--out", "snap"])
    };
    let output = export("sslmode=require");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("doesn't offer an encrypted connection"), "{stderr}");
    assert!(export("sslmode=prefer").status.success());
    assert!(!Path::new("snap").exists());
}
