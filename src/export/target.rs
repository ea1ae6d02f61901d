//! Where to connect: what does the connection string ask for?
//!
//! Input: a URL or a `key=value` string, as psql, Prisma and most drivers read them. Output: [`Target`]: the driver's settings
//! plus what the driver doesn't know (`sslmode=verify-*`, `sslrootcert`, `schema`). Invariant: no message ever holds a piece of
//! the string that could be a password, not even when the string can't be parsed; so the driver's own parse errors, which quote
//! it, are never shown.

use std::time::Duration;

use anyhow::{Error, Result, anyhow};
use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::tls::Security;
use crate::snapshot::suggestion;
use crate::ui::hinted;

/// Parameters that are the driver's business.
const DRIVER: &[&str] = &[
    "user",
    "password",
    "dbname",
    "options",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
    "sslnegotiation",
];

/// Parameters of Prisma, poolers and other drivers that change nothing about what an export reads.
const IGNORED: &[&str] = &[
    "application_name",
    "client_encoding",
    "connection_limit",
    "fallback_application_name",
    "gssencmode",
    "keepalives_count",
    "max_idle_connection_lifetime",
    "pgbouncer",
    "pool_timeout",
    "prepare_threshold",
    "single_use_connections",
    "socket_timeout",
    "sslcompression",
    "sslsni",
    "statement_cache_size",
    "supa",
    "uselibpqcompat",
];

/// Parameters read here.
const OWN: &[&str] = &["sslmode", "sslrootcert", "sslaccept", "schema"];

/// Where to connect, and how.
pub struct Target {
    /// The driver's settings.
    pub config: Config,
    /// TLS.
    pub security: Security,
    /// Schema of table names that don't say theirs.
    pub schema: Option<String>,
    /// `host:port/database`, for messages and the manifest: neither user nor password.
    pub location: String,
    /// The user, for messages.
    pub user: String,
}

/// One parameter, decoded.
type Parameter = (String, String);

impl Target {
    /// Reads a connection string; `password` (the environment's) is used where the string has none.
    ///
    /// # Errors
    /// When it isn't a connection string, or has a parameter that can't be honoured.
    pub fn parse(text: &str, password: Option<&str>) -> Result<Target> {
        let text = text.trim();
        let (base, parameters) = if let Some((scheme, rest)) = text.split_once("://") {
            if !["postgresql", "postgres"].contains(&scheme) {
                return Err(hinted(anyhow!("the connection string isn't one for PostgreSQL"), FORMS));
            }
            split_url(scheme, rest)?
        } else if text.contains('=') {
            (None, split_pairs(text)?)
        } else {
            return Err(hinted(anyhow!("the connection string isn't a URL or key=value pairs"), FORMS));
        };
        let (mut mode, mut roots, mut schema) = (None, None, None);
        let mut passed = Vec::new();
        for (key, value) in parameters {
            match key.as_str() {
                "sslmode" => mode = Some(value),
                "sslrootcert" => roots = Some(value),
                "sslaccept" if value == "strict" => mode = Some("verify-full".to_owned()),
                "schema" => schema = Some(value),
                "sslcert" | "sslkey" | "sslidentity" | "sslpassword" => {
                    return Err(hinted(
                        anyhow!("the connection string's {key} asks for something that isn't supported"),
                        "client certificates can't be sent; to check the server's certificate, use sslrootcert=FILE",
                    ));
                }
                key if DRIVER.contains(&key) => passed.push((key.to_owned(), value)),
                key if IGNORED.contains(&key) || key == "sslaccept" => {}
                key => return Err(unknown_parameter(key)),
            }
        }
        let security = Security::parse(mode.as_deref(), roots.as_deref())?;
        let mut config = driver_config(base.as_deref(), &passed)?;
        settle(&mut config, &security, password);
        Ok(Target { location: location(&config), user: user(&config), config, security, schema })
    }
}

const FORMS: &str = "write postgresql://USER:PASSWORD@HOST:5432/DATABASE, with characters such as @ : / ? # % in the password \
    percent-encoded (%40 for @), or host=HOST dbname=DATABASE user=USER";

fn malformed() -> Error {
    hinted(anyhow!("the connection string can't be read (it isn't shown, since it may hold a password)"), FORMS)
}

fn unknown_parameter(key: &str) -> Error {
    // What stands where a parameter's name should may be a piece of a password.
    if !key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
        return malformed();
    }
    let known: Vec<&str> = DRIVER.iter().chain(OWN).copied().collect();
    let hint = suggestion(key, &known)
        .unwrap_or_else(|| "remove it: a setting that does nothing would promise something".to_owned());
    hinted(anyhow!("the connection string's parameter {key} isn't known"), hint)
}

/// `user:password@host/db?a=b` -> the URL without parameters, and the parameters.
fn split_url(scheme: &str, rest: &str) -> Result<(Option<String>, Vec<Parameter>)> {
    let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
    // An @ behind the ? means that the ? belongs to a password that isn't encoded: nothing behind it may be shown.
    if query.contains('@') {
        return Err(malformed());
    }
    let parameters = query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (key, value) = part.split_once('=').ok_or_else(malformed)?;
            Ok((decoded(key)?, decoded(value)?))
        })
        .collect::<Result<_>>()?;
    Ok((Some(format!("{scheme}://{authority}")), parameters))
}

fn decoded(text: &str) -> Result<String> {
    percent_decode_str(text).decode_utf8().map(|text| text.into_owned()).map_err(|_| malformed())
}

/// `host=h password='it''s'` as libpq reads it: quotes around values, a backslash before what is meant literally.
fn split_pairs(text: &str) -> Result<Vec<Parameter>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, behind) = rest.split_once('=').ok_or_else(malformed)?;
        let mut value = String::new();
        let mut characters = behind.trim_start().char_indices();
        let source = behind.trim_start();
        let quoted = source.starts_with('\'');
        if quoted {
            characters.next();
        }
        let mut end = if quoted { None } else { Some(source.len()) };
        while let Some((index, character)) = characters.next() {
            match character {
                '\\' => value.push(characters.next().ok_or_else(malformed)?.1),
                '\'' if quoted => {
                    end = Some(index + 1);
                    break;
                }
                c if !quoted && c.is_whitespace() => {
                    end = Some(index);
                    break;
                }
                c => value.push(c),
            }
        }
        pairs.push((key.trim().to_owned(), value));
        rest = source[end.ok_or_else(malformed)?..].trim_start();
    }
    Ok(pairs)
}

fn driver_config(base: Option<&str>, parameters: &[Parameter]) -> Result<Config> {
    let parsed = match base {
        Some(base) => {
            let encode = |text: &str| {
                percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
            };
            let query: Vec<String> = parameters.iter().map(|(k, v)| format!("{k}={}", encode(v))).collect();
            let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
            format!("{base}{query}").parse::<Config>()
        }
        None => {
            let pair = |(k, v): &Parameter| format!("{k}='{}'", v.replace('\\', "\\\\").replace('\'', "\\'"));
            parameters.iter().map(pair).collect::<Vec<_>>().join(" ").parse()
        }
    };
    // The driver's error may quote the string: it is dropped on purpose.
    parsed.map_err(|_| malformed())
}

/// Fills in what the string leaves open.
fn settle(config: &mut Config, security: &Security, password: Option<&str>) {
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        // As psql does it: the local socket where there is one.
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let folder = ["/var/run/postgresql", "/tmp"]
            .into_iter()
            .find(|folder| std::path::Path::new(folder).join(format!(".s.PGSQL.{port}")).exists());
        config.host(folder.unwrap_or("localhost"));
    }
    if let (None, Some(password)) = (config.get_password(), password) {
        config.password(password);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(10));
    }
    // Nobody listens in on a Unix socket, and PostgreSQL doesn't speak TLS on one.
    let local =
        config.get_hostaddrs().is_empty() && config.get_hosts().iter().all(|host| !matches!(host, Host::Tcp(_)));
    config.ssl_mode(if local { SslMode::Disable } else { security.mode });
    config.application_name("rehearsal");
}

fn user(config: &Config) -> String {
    config.get_user().unwrap_or("the current user").to_owned()
}

fn location(config: &Config) -> String {
    let hosts: Vec<String> = if config.get_hosts().is_empty() {
        config.get_hostaddrs().iter().map(ToString::to_string).collect()
    } else {
        let name = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        config.get_hosts().iter().map(name).collect()
    };
    let ports = config.get_ports();
    let hosts: Vec<String> = hosts
        .iter()
        .enumerate()
        .map(|(index, host)| format!("{host}:{}", ports.get(index).or(ports.first()).copied().unwrap_or(5432)))
        .collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{}/{database}", hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::tls::Verify;

    fn check(text: &str, expected: &str) {
        let t = Target::parse(text, Some("from the environment")).expect(text);
        let password = t.config.get_password().map(|p| String::from_utf8_lossy(p).into_owned()).unwrap_or_default();
        let schema = t.schema.unwrap_or_default();
        let (user, mode, verify) = (t.user, t.config.get_ssl_mode(), t.security.verify);
        assert_eq!(format!("{user} {password} {} [{schema}] {mode:?} {verify:?}", t.location), expected, "{text}");
    }

    #[test]
    fn reads_urls_and_pairs() {
        check("postgresql://me:p%40ss@db:5433/shop", "me p@ss db:5433/shop [] Prefer Nothing");
        check("postgres://me@db/shop", "me from the environment db:5432/shop [] Prefer Nothing");
        check(
            "postgresql://me:x@db/shop?schema=app&connection_limit=5&pgbouncer=true&sslmode=verify-full",
            "me x db:5432/shop [app] Require AuthorityAndHost",
        );
        check("postgresql://me:x@db/shop?sslaccept=strict", "me x db:5432/shop [] Require AuthorityAndHost");
        check(
            "host=db user=me password='it\\'s a = b' dbname = shop sslmode=require",
            "me it's a = b db:5432/shop [] Require Nothing",
        );
        check(
            "host=/run/pg user=me dbname=shop sslmode=require",
            "me from the environment /run/pg:5432/shop [] Disable Nothing",
        );
        check("postgresql://me:x@a:1,b:2/shop", "me x a:1,b:2/shop [] Prefer Nothing");
        let roots = Target::parse("postgresql://h/d?sslmode=verify-ca&sslrootcert=/a%20b/ca.pem", None).expect("valid");
        assert_eq!(roots.security.verify, Verify::Authority);
        assert_eq!(roots.security.root_certificates, Some("/a b/ca.pem".into()));
    }

    #[test]
    fn no_error_shows_a_piece_of_a_password() {
        for text in [
            "hunter2",
            "mysql://me:hunter2@h/d",
            "postgresql://me:hunter2?@h/d",
            "postgresql://me:x?hunter2=y@h/d",
            "postgresql://me:hunter2@h:port/d",
            "postgresql://me:p@h/d?sslmode=hunter2",
            "postgresql://me:p@h/d?hunter2",
            "postgresql://me:p@h/d?Hunter2=1",
            "host=h password=two hunter2",
            "host=h password='hunter2",
            "host=h password=hunter2 port=many",
            "host=h password=a hunter2=b",
        ] {
            let error = Target::parse(text, None).err().unwrap_or_else(|| panic!("{text} is accepted"));
            let shown = format!("{error:#} {error:?}");
            assert!(!shown.contains("unter2"), "{text}: {shown}");
        }
    }

    #[test]
    fn a_misspelt_parameter_is_an_error() {
        let error = Target::parse("postgresql://me:p@h/d?sslmod=verify-full", None).err().expect("an error");
        let mut shown = Vec::new();
        crate::ui::write_error(&mut shown, &error).expect("a vector takes all");
        assert_eq!(
            String::from_utf8_lossy(&shown),
            "error: the connection string's parameter sslmod isn't known\nhint: did you mean sslmode?\n"
        );
    }
}
