//! The README's examples are tests: each `$ rehearsal …` in a console block is run and must print what the block shows.
//!
//! A line `…` in a block stands for any number of lines. `REHEARSAL_BLESS=1` writes what the binary prints into the README,
//! keeping as many lines as the block had before each `…`; read the change before committing it.

use std::path::Path;
use std::process::Command;

struct Example {
    command: String,
    expected: Vec<String>,
}

fn examples(readme: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match line.strip_prefix("$ ") {
                Some(command) => examples.push(Example { command: command.to_owned(), expected: vec![] }),
                None => examples.last_mut().expect("output follows a command").expected.push(line.to_owned()),
            },
        }
    }
    examples
}

fn matches(expected: &[String], printed: &[&str]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "…" => (0..=printed.len()).any(|skip| matches(rest, &printed[skip..])),
        Some((first, rest)) => printed.split_first().is_some_and(|(p, more)| p == first && matches(rest, more)),
    }
}

fn run(folder: &Path, command: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_rehearsal"));
    let path =
        format!("{}:{}", binary.parent().expect("a folder").display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .env_remove("DATABASE_URL")
        .env_remove("GITHUB_ACTIONS")
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    text.trim_end().to_owned()
}

#[test]
fn the_readmes_examples_print_what_it_shows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md");
    let examples = examples(&readme);
    assert!(examples.len() >= 5, "the README shows what the tool prints");
    let folder = tempfile::tempdir().expect("a folder");
    // The examples are those of somebody who stands in a checkout.
    std::os::unix::fs::symlink(path.with_file_name("fixtures"), folder.path().join("fixtures")).expect("a link");
    let mut blessed = readme.clone();
    let mut wrong = Vec::new();
    for example in &examples {
        let printed = run(folder.path(), &example.command);
        let lines: Vec<&str> = printed.lines().map(str::trim_end).collect();
        if matches(&example.expected, &lines) {
            continue;
        }
        wrong.push(format!("$ {}\n{printed}", example.command));
        let kept = example.expected.iter().position(|l| l == "…");
        let mut new: Vec<&str> = lines.iter().copied().take(kept.unwrap_or(usize::MAX)).collect();
        if kept.is_some() {
            new.push("…");
        }
        let block = |lines: &[String]| {
            std::iter::once(format!("$ {}", example.command))
                .chain(lines.iter().cloned())
                .collect::<Vec<_>>()
                .join("\n")
                + "\n"
        };
        let new: Vec<String> = new.into_iter().map(str::to_owned).collect();
        blessed = blessed.replace(&block(&example.expected), &block(&new));
    }
    if std::env::var_os("REHEARSAL_BLESS").is_some() {
        std::fs::write(&path, blessed).expect("README.md is writable");
    } else {
        assert!(wrong.is_empty(), "the README shows something else than:\n{}", wrong.join("\n\n"));
    }
}
