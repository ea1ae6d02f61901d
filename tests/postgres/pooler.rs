//! A pooler in transaction mode, as small as can be: each transaction of a client is served by the other of two connections.
//!
//! It knows just enough of the protocol to see where a transaction ends (ReadyForQuery, idle).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::fixtures::json as run_json;
use crate::server::{Database, database};

/// A message: its type, and all of it.
fn message(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let mut rest = vec![0; length - 4];
    stream.read_exact(&mut rest).ok()?;
    Some((head[0], [head.as_slice(), &rest].concat()))
}

/// Reads from a server to the end of its answer; the transaction's state then.
fn answer(server: &mut TcpStream, mut client: Option<&mut TcpStream>) -> Option<u8> {
    loop {
        let (kind, bytes) = message(server)?;
        if let Some(client) = client.as_deref_mut() {
            client.write_all(&bytes).ok()?;
        }
        if kind == b'Z' {
            return bytes.last().copied();
        }
    }
}

fn serve(mut client: TcpStream, port: u16) -> Option<()> {
    let startup = loop {
        let mut length = [0; 4];
        client.read_exact(&mut length).ok()?;
        let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
        client.read_exact(&mut rest).ok()?;
        // A request for TLS is answered with no.
        if rest == 80_877_103u32.to_be_bytes() {
            client.write_all(b"N").ok()?;
            continue;
        }
        break [length.as_slice(), &rest].concat();
    };
    let mut servers = Vec::new();
    for number in 0..2 {
        let mut server = TcpStream::connect(("127.0.0.1", port)).ok()?;
        server.write_all(&startup).ok()?;
        answer(&mut server, (number == 0).then_some(&mut client))?;
        servers.push(server);
    }
    let mut current = 0;
    loop {
        let (kind, bytes) = message(&mut client)?;
        if kind == b'X' {
            return None;
        }
        servers[current].write_all(&bytes).ok()?;
        if kind == b'Q' || kind == b'S' {
            let state = answer(&mut servers[current], Some(&mut client))?;
            if state == b'I' {
                current = 1 - current;
            }
        }
    }
}

/// The URL of a database behind a pooler, which serves as long as the process lives.
fn pooled(database: &Database) -> String {
    let (before, behind) = database.url.rsplit_once(':').expect("a port");
    let (port, name) = behind.split_once('/').expect("a database");
    let port: u16 = port.parse().expect("a port");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let own = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || serve(client, port));
        }
    });
    format!("{before}:{own}/{name}")
}

/// The export is whole, and says what stands between.
#[test]
fn a_pooler_in_transaction_mode_is_named() {
    let database = database();
    database.run("CREATE TABLE t AS SELECT n AS id, 'x' AS v FROM generate_series(1, 300000) AS n; ANALYZE t");
    let folder = tempfile::tempdir().expect("a folder");
    let url = pooled(&database);
    let args = ["export", "--url", &url, "--table", "t", "--out", "snap", "--jobs", "2"];
    let report = run_json(folder.path(), &args, 0);
    assert_eq!(report["result"]["rows"], 300_000);
    let notes = report["result"]["notes"].to_string();
    assert!(notes.contains("A pooler in transaction mode stands before the server"), "{notes}");
    let direct = ["export", "--url", &database.url, "--table", "t", "--out", "direct", "--jobs", "2"];
    assert_eq!(run_json(folder.path(), &direct, 0)["result"]["notes"], serde_json::json!([]));
}
