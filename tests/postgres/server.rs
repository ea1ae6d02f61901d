//! A real PostgreSQL server for tests, and a database of its own for each test.
//!
//! [`database`] uses the server of `REHEARSAL_TEST_DATABASE_URL` where that is set, else one temporary server a test process,
//! started from the installed binaries. Tests that need a server with settings of their own (passwords, TLS) start one with
//! [`Server::start`]. No server to be had is a failure that says what to install, never a skip.
//!
//! Nothing outlives the test process, however it ends: the server runs under a small shell that reads a pipe whose other end
//! only the test process holds. When that end closes, the shell stops the server and removes its folder.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

/// Who may connect, and how: everybody, except that a role named `secret_user` needs its password over TCP.
const HBA: &str = "local all all trust\n\
    host all secret_user all scram-sha-256\n\
    host all all all trust\n";

/// What a server of its own needs beside the defaults.
#[derive(Default)]
pub struct Options<'a> {
    /// `pg_hba.conf`; everybody is trusted where absent, except `secret_user`.
    pub hba: Option<&'a str>,
    /// Settings, e.g. `("ssl", "on")`.
    pub settings: &'a [(&'a str, &'a str)],
    /// Files put into the data folder, readable by the server alone.
    pub files: &'a [(&'a str, &'a str)],
    /// More `initdb` arguments, e.g. `--encoding=SQL_ASCII`.
    pub initdb: &'a [&'a str],
}

/// A running temporary server. Dropping it stops the server.
pub struct Server {
    /// TCP port on 127.0.0.1.
    pub port: u16,
    /// Folder of the Unix socket.
    pub socket_folder: PathBuf,
    supervisor: Child,
}

/// A database that exists as long as this value.
pub struct Database {
    /// Connection URL, over TCP, as the superuser `postgres` (or as `REHEARSAL_TEST_DATABASE_URL` says).
    pub url: String,
    /// Its name.
    pub name: String,
    admin_url: String,
}

/// A fresh, empty database on the shared server.
pub fn database() -> Database {
    Database::create(&admin_url())
}

/// The maintenance database of the shared server.
fn admin_url() -> String {
    static SHARED: OnceLock<String> = OnceLock::new();
    SHARED
        .get_or_init(|| match std::env::var("REHEARSAL_TEST_DATABASE_URL") {
            Ok(url) if !url.is_empty() => url,
            _ => {
                let server = Server::start(&Options::default());
                let url = server.url("postgres", "postgres");
                // The server lives until the process ends; the pipe then closes by itself.
                std::mem::forget(server);
                url
            }
        })
        .clone()
}

impl Database {
    /// A fresh database on the server whose maintenance database is at `admin_url`.
    pub fn create(admin_url: &str) -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rehearsal_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        connect(admin_url)
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
            .expect("the test role may create databases");
        let database = Database { url: with_database(admin_url, &name), name, admin_url: admin_url.to_owned() };
        if database.version() < 130_000 {
            // gen_random_uuid() is the extension's there.
            database.run("CREATE EXTENSION pgcrypto");
        }
        database
    }

    /// The database of this name that a server has already, as a standby has its primary's.
    pub fn at(server: &Server, name: &str) -> Database {
        // No server listens there: dropping this value drops nothing.
        Database { url: server.url("postgres", name), name: name.to_owned(), admin_url: "host=/nowhere".to_owned() }
    }

    /// A new connection to it.
    pub fn client(&self) -> Client {
        connect(&self.url)
    }

    /// The server's version, e.g. 150018.
    pub fn version(&self) -> i32 {
        version(&mut self.client())
    }

    /// Whether a range of a table's pages can be read by itself; without it, each table is read over one connection.
    pub fn reads_ranges(&self) -> bool {
        self.version() >= 140_000
    }

    /// Whether the server has such a value: older ones lack some types, and some values of others. The newest have them all.
    pub fn knows(&self, ty: &str, value: &str) -> bool {
        let known = self.client().batch_execute(&format!("SELECT ({value})::{ty}")).is_ok();
        assert!(known || self.version() < 150_000, "{value}::{ty}");
        known
    }

    /// Runs statements, separated by semicolons.
    pub fn run(&self, sql: &str) {
        self.client().batch_execute(sql).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The server may be gone already, where the test stopped it.
        if let Ok(mut client) = Client::connect(&self.admin_url, NoTls) {
            let _ = client.batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}

fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).expect("the test server answers")
}

/// The same server, another database.
fn with_database(url: &str, database: &str) -> String {
    if !url.contains("://") {
        return format!("{url} dbname={database}");
    }
    let (base, parameters) = url.split_once('?').map_or((url, None), |(base, rest)| (base, Some(rest)));
    let authority = base.find("://").map_or(0, |i| i + 3);
    let end = base[authority..].find('/').map_or(base.len(), |i| authority + i);
    let parameters = parameters.map_or(String::new(), |p| format!("?{p}"));
    format!("{}/{database}{parameters}", &base[..end])
}

impl Server {
    /// Starts a server of the test's own.
    pub fn start(options: &Options<'_>) -> Server {
        let binaries = binaries();
        let owner = unprivileged_owner();
        // Not TMPDIR: a socket's path must be short, and the unprivileged user must be able to reach the folder.
        let folder =
            tempfile::Builder::new().prefix("rehearsal-pg-").tempdir_in("/tmp").expect("/tmp is writable").keep();
        give(&folder, owner, 0o700);
        let data = folder.join("data");
        init(&binaries, &folder, &data, owner, options);
        for attempt in 1.. {
            let port = free_port();
            let mut supervisor = launch(&binaries, &folder, &data, owner, port, options);
            match wait_until_ready(&mut supervisor, &folder, port) {
                Ok(()) => return Server { port, socket_folder: folder, supervisor },
                // Another process has taken the port in between: the server has ended, and the shell must leave its folder.
                Err(log) if log.contains("could not bind") && attempt < 5 => {
                    let _ = supervisor.kill();
                    let _ = supervisor.wait();
                }
                Err(log) => {
                    drop(Server { port, socket_folder: folder, supervisor });
                    panic!("the test server doesn't start:\n{log}")
                }
            }
        }
        unreachable!("the loop ends by returning or panicking")
    }

    /// Starts a standby that streams from this server, whose `pg_hba.conf` must let it.
    pub fn standby(&self, settings: &[(&str, &str)]) -> Server {
        let (binaries, owner) = (binaries(), unprivileged_owner());
        let folder =
            tempfile::Builder::new().prefix("rehearsal-pg-").tempdir_in("/tmp").expect("/tmp is writable").keep();
        give(&folder, owner, 0o700);
        let data = folder.join("data");
        self.back_up(&data, owner);
        let options = Options { settings, ..Options::default() };
        let port = free_port();
        let mut supervisor = launch(&binaries, &folder, &data, owner, port, &options);
        match wait_until_ready(&mut supervisor, &folder, port) {
            Ok(()) => Server { port, socket_folder: folder, supervisor },
            Err(log) => {
                drop(Server { port, socket_folder: folder, supervisor });
                panic!("the standby doesn't start:\n{log}")
            }
        }
    }

    /// Copies the running server's data folder, as `pg_basebackup` would, which not every packaged server brings: between the
    /// two calls that begin and end a backup, with what the end says has to be in it.
    fn back_up(&self, data: &Path, owner: Option<(u32, u32)>) {
        let mut client = connect(&with_database(&self.socket_url(), "postgres"));
        let (begin, end) = if version(&mut client) < 150_000 {
            (
                "SELECT pg_start_backup('standby', true, false)",
                "SELECT labelfile, spcmapfile FROM pg_stop_backup(false, false)",
            )
        } else {
            ("SELECT pg_backup_start('standby', true)", "SELECT labelfile, spcmapfile FROM pg_backup_stop(false)")
        };
        client.query(begin, &[]).expect("a backup begins");
        let copied =
            Command::new("cp").arg("-a").arg(self.socket_folder.join("data")).arg(data).status().expect("cp runs");
        assert!(copied.success(), "the data folder is copied");
        let label: String = client.query_one(end, &[]).expect("the backup ends").get("labelfile");
        fs::remove_file(data.join("postmaster.pid")).expect("the copy has the server's own");
        let from = format!("primary_conninfo = '{}'\n", self.socket_url());
        for (name, content) in
            [("backup_label", label.as_str()), ("standby.signal", ""), ("postgresql.auto.conf", &from)]
        {
            fs::write(data.join(name), content).expect("the copy is writable");
            give(&data.join(name), owner, 0o600);
        }
    }

    /// How to reach it through its socket, which trusts everybody whatever the settings for TCP are.
    fn socket_url(&self) -> String {
        format!("host={} port={} user=postgres", self.socket_folder.display(), self.port)
    }

    /// URL of a database on it, over TCP.
    pub fn url(&self, user: &str, database: &str) -> String {
        format!("postgresql://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// A fresh, empty database on it.
    pub fn database(&self) -> Database {
        Database::create(&with_database(&self.socket_url(), "postgres"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// The server's version, e.g. 150018.
pub fn version(client: &mut Client) -> i32 {
    let version = "SELECT current_setting('server_version_num')::int";
    client.query_one(version, &[]).expect("a version").get(0)
}

/// The folder with `initdb` and `postgres`.
fn binaries() -> PathBuf {
    let mut folders: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    let mut packaged: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    packaged.sort();
    folders.extend(packaged.into_iter().rev().map(|(_, folder)| folder));
    folders.extend(["/opt/homebrew/opt/postgresql/bin", "/usr/local/pgsql/bin"].map(PathBuf::from));
    folders.into_iter().find(|f| f.join("initdb").is_file() && f.join("postgres").is_file()).unwrap_or_else(|| {
        panic!(
            "these tests need a PostgreSQL server: install one (Debian, Ubuntu: apt-get install postgresql), \
             or set REHEARSAL_TEST_DATABASE_URL to a server where the role may create databases"
        )
    })
}

/// PostgreSQL refuses to run as root: then the user and group to run it as.
fn unprivileged_owner() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().parse().ok())?
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let owner = ["postgres", "nobody"].into_iter().find_map(|user| Some((id(&["-u", user])?, id(&["-g", user])?)));
    Some(owner.expect("a user `postgres` or `nobody` to run the test server as"))
}

fn give(path: &Path, owner: Option<(u32, u32)>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("own files can be changed");
    if let Some((user, group)) = owner {
        chown(path, Some(user), Some(group)).expect("root may give files away");
    }
}

fn command(program: &Path, folder: &Path, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("LC_ALL", "C").stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

fn init(binaries: &Path, folder: &Path, data: &Path, owner: Option<(u32, u32)>, options: &Options<'_>) {
    let mut last = String::new();
    // C.UTF-8 sorts by bytes everywhere and still knows letters; not every system has it.
    for locale in ["C.UTF-8", "C"] {
        let output = command(&binaries.join("initdb"), folder, owner)
            .args(["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8"])
            .arg(format!("--locale={locale}"))
            .args(options.initdb)
            .arg("-D")
            .arg(data)
            .output()
            .expect("initdb runs");
        if output.status.success() {
            let hba = data.join("pg_hba.conf");
            fs::write(&hba, options.hba.unwrap_or(HBA)).expect("the data folder is writable");
            give(&hba, owner, 0o600);
            for (name, content) in options.files {
                fs::write(data.join(name), content).expect("the data folder is writable");
                give(&data.join(name), owner, 0o600);
            }
            return;
        }
        last = String::from_utf8_lossy(&output.stderr).into_owned();
        let _ = fs::remove_dir_all(data);
    }
    let _ = fs::remove_dir_all(folder);
    panic!("initdb fails:\n{last}");
}

/// Starts the server under the shell that ends it. The shell is in a process group of its own, so that a Ctrl-C at the
/// terminal reaches the tests only, and the shell still gets to clean up.
fn launch(
    binaries: &Path,
    folder: &Path,
    data: &Path,
    owner: Option<(u32, u32)>,
    port: u16,
    options: &Options<'_>,
) -> Child {
    const SUPERVISE: &str = r#"folder="$1"; shift
"$@" >"$folder/log" 2>&1 </dev/null &
server=$!
read -r _
kill -QUIT "$server" 2>/dev/null
wait "$server" 2>/dev/null
cd / && rm -rf "$folder""#;
    let mut command = command(Path::new("/bin/sh"), folder, owner);
    command.args(["-c", SUPERVISE, "postgres-for-tests"]).arg(folder).arg(binaries.join("postgres"));
    command.arg("-D").arg(data).arg("-k").arg(folder).args(["-p", &port.to_string()]);
    let defaults = [
        ("listen_addresses", "127.0.0.1"),
        ("fsync", "off"),
        ("synchronous_commit", "off"),
        ("full_page_writes", "off"),
        ("shared_buffers", "64MB"),
        ("max_connections", "200"),
        ("timezone", "UTC"),
    ];
    for (name, value) in defaults.iter().chain(options.settings) {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("/bin/sh runs")
}

fn wait_until_ready(supervisor: &mut Child, folder: &Path, port: u16) -> Result<(), String> {
    let url = format!("host={} port={port} user=postgres dbname=postgres", folder.display());
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if Client::connect(&url, NoTls).is_ok() {
            return Ok(());
        }
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        // "FATAL: the database system is starting up" is what an early connection is told.
        let log_of_failure = log
            .replace("FATAL:  the database system is starting up", "")
            .replace("FATAL:  the database system is not yet accepting connections", "");
        let ended = supervisor.try_wait().ok().flatten().is_some() || log_of_failure.contains("FATAL: ");
        if ended || Instant::now() > deadline {
            return Err(log);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("localhost has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

#[cfg(test)]
mod tests {
    #[allow(unused_imports)]
    use super::*;

    #[test]
    fn each_database_is_its_own() {
        let (one, two) = (database(), database());
        one.run("CREATE TABLE only_here ()");
        let count = "SELECT count(*) FROM pg_class WHERE relname = 'only_here'";
        let found = |database: &Database| -> i64 { database.client().query_one(count, &[]).expect("a count").get(0) };
        assert_eq!((found(&one), found(&two)), (1, 0));
    }

    #[test]
    fn a_dropped_server_leaves_nothing() {
        let server = Server::start(&Options::default());
        let (folder, port) = (server.socket_folder.clone(), server.port);
        assert!(folder.is_dir());
        drop(server);
        assert!(!folder.exists());
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }

    #[test]
    fn database_names_are_replaced_in_urls() {
        assert_eq!(with_database("postgresql://u:p@h:1/a?x=y", "b"), "postgresql://u:p@h:1/b?x=y");
        assert_eq!(with_database("postgresql://u@h", "b"), "postgresql://u@h/b");
        assert_eq!(with_database("host=h dbname=a", "b"), "host=h dbname=a dbname=b");
    }
}
