//! Files and folders that appear whole or not at all.
//!
//! Input: a target, and something that writes. Output: the target, complete and synced, with the permissions any new file gets.
//! Invariants: until it is complete everything stands in a hidden folder beside the target, so that one rename makes it appear; a
//! failure or Ctrl-C removes it. Left out: what is written, and whether something may be replaced.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// What is in the making, within the hidden folder.
pub const PARTIAL: &str = "partial";

/// A file or a folder in the making.
#[derive(Debug)]
pub struct Staged {
    target: PathBuf,
    path: PathBuf,
    /// Removed with all that is left in it when this value is dropped.
    hidden: TempDir,
}

impl Staged {
    /// Makes room beside `target`, whose folder is created where it is missing. Nothing is visible until [`Staged::publish`].
    ///
    /// # Errors
    /// When the folder can't be created or written to.
    pub fn beside(target: &Path) -> Result<Staged> {
        let folder = folder_of(target);
        fs::create_dir_all(folder).with_context(|| format!("creating the folder {}", folder.display()))?;
        let hidden = tempfile::Builder::new()
            .prefix(".rehearsal-")
            .tempdir_in(folder)
            .with_context(|| format!("writing in {}", folder.display()))?;
        mark(hidden.path(), target)?;
        // A name of its own within: the hidden folder is private to its owner, what is created in it isn't.
        Ok(Staged { target: target.to_owned(), path: hidden.path().join(PARTIAL), hidden })
    }

    /// Where to create the file or the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of that name in the hidden folder, which no reader of the target ever sees.
    pub fn beside_it(&self, name: &str) -> PathBuf {
        self.hidden.path().join(name)
    }

    /// Leaves the hidden folder where it is, for another try; returns it.
    pub fn keep(self) -> PathBuf {
        self.hidden.keep()
    }

    /// Syncs what stands at [`Staged::path`] and gives it its name; a file of that name is replaced.
    ///
    /// # Errors
    /// When the disk or the file system refuses; then nothing is left behind.
    pub fn publish(self) -> Result<()> {
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        sync(&self.path).with_context(|| format!("syncing {}", self.target.display()))?;
        fs::rename(&self.path, &self.target)
            .with_context(|| format!("giving the finished {} its name", self.target.display()))?;
        let folder = folder_of(&self.target);
        sync(folder).with_context(|| format!("syncing {}", folder.display()))
    }
}

/// Writes a file by `body`, whole or not at all. A device or a pipe, which has no whole, is written as it goes.
///
/// # Errors
/// What `body` returns, or a failure to write.
pub fn write_file(path: &Path, body: impl FnOnce(&mut (dyn Write + Send)) -> Result<()>) -> Result<()> {
    let write = || -> Result<()> {
        let stream = fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
        if stream {
            return write_to(fs::OpenOptions::new().write(true).open(path)?, body);
        }
        let staged = Staged::beside(path)?;
        write_to(File::create(staged.path())?, body)?;
        staged.publish()
    };
    write().with_context(|| format!("writing {}", path.display()))
}

fn write_to(file: File, body: impl FnOnce(&mut (dyn Write + Send)) -> Result<()>) -> Result<()> {
    let mut out = BufWriter::new(file);
    body(&mut out)?;
    Ok(out.flush()?)
}

/// Who writes here, in a file of the hidden folder: the target's name, and the process.
const MARK: &str = "for";

fn mark(hidden: &Path, target: &Path) -> Result<()> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let text = format!("{}\n{}\n{name}\n", std::process::id(), machine());
    fs::write(hidden.join(MARK), text).with_context(|| format!("writing in {}", folder_of(target).display()))
}

/// Where a process id means something: this machine since it was started, and this container of it.
fn machine() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot.trim(), namespace.display())
}

/// The hidden folders that processes which are no more have left beside `target` on their way to it. What may belong to a process
/// that is alive, or to one of another machine, isn't among them.
pub fn abandoned(target: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    for entry in fs::read_dir(folder_of(target)).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(".rehearsal-") {
            continue;
        }
        let text = fs::read_to_string(entry.path().join(MARK)).unwrap_or_default();
        let mut lines = text.lines();
        let (Some(process), Some(machine_then), Some(name_then)) = (lines.next(), lines.next(), lines.next()) else {
            continue;
        };
        let here = machine_then == machine() && Path::new("/proc/self").exists();
        if here && name_then == name && !Path::new("/proc").join(process).exists() {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

fn folder_of(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("new").join("answer");
        write_file(&target, |out| Ok(out.write_all(b"first")?)).expect("written");
        let failed = write_file(&target, |out| {
            out.write_all(b"half")?;
            anyhow::bail!("no more")
        });
        assert_eq!(format!("{:#}", failed.expect_err("an error")), format!("writing {}: no more", target.display()));
        assert_eq!(fs::read(&target).expect("the file"), b"first");
        assert_eq!(names(target.parent().expect("a folder")), ["answer"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_what_the_dead_have_left_is_abandoned() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("snap");
        let alive = Staged::beside(&target).expect("room");
        let left = |name: &str, process: &str, machine: &str, target: &str| {
            let path = folder.path().join(name);
            fs::create_dir(&path).expect("a folder");
            fs::write(path.join(MARK), format!("{process}\n{machine}\n{target}\n")).expect("a file");
        };
        left(".rehearsal-dead", "4194305", &machine(), "snap");
        left(".rehearsal-else", "4194305", &machine(), "other");
        left(".rehearsal-far", "4194305", "another machine", "snap");
        left("rehearsal-mine", "4194305", &machine(), "snap");
        assert_eq!(abandoned(&target), [folder.path().join(".rehearsal-dead")]);
        assert!(alive.path().parent().is_some_and(Path::exists));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_published_has_the_permissions_of_anything_new() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |name: &str| fs::metadata(folder.path().join(name)).expect("it exists").permissions().mode();
        fs::write(folder.path().join("plain"), "").expect("a file");
        write_file(&folder.path().join("staged"), |_| Ok(())).expect("written");
        assert_eq!(mode("staged"), mode("plain"));
        fs::create_dir(folder.path().join("plain folder")).expect("a folder");
        let staged = Staged::beside(&folder.path().join("staged folder")).expect("room");
        fs::create_dir(staged.path()).expect("a folder");
        staged.publish().expect("published");
        assert_eq!(mode("staged folder"), mode("plain folder"));
    }

    #[cfg(unix)]
    #[test]
    fn a_device_stays_a_device() {
        let folder = tempfile::tempdir().expect("a folder");
        let device = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &device).expect("a link");
        write_file(&device, |out| Ok(out.write_all(b"nothing")?)).expect("written");
        assert!(device.is_symlink() && !fs::metadata(&device).expect("the device").is_file());
    }
}
