//! The inside of a plugin worker: a process of this program that embeds Python and serves one call after the other.
//!
//! What it needs is in its environment, because it reads no configuration: see [`super::environment`]. The connection
//! comes as its standard input; before any plugin runs it is moved to a descriptor of its own and standard input becomes
//! `/dev/null`, so that a plugin which reads or prints cannot disturb it. The interpreter's lock is held only during calls.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyDict, PyTuple};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::environment::WorkerEnvironment;
use super::frame::{Frame, FrameError};

/// Address space beyond the limit of memory: libraries and reserved, never written ranges.
const ADDRESS_SLACK: u64 = 4 * 1024 * 1024 * 1024;
/// The exit code of a worker that could not start.
const NOT_STARTED: i32 = 3;
/// The exit code of a copy of the process that a plugin made and did not end.
const STRAY_COPY: i32 = 4;

/// Why a worker ended, for its standard error.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Something of the operating system failed.
    #[error("the plugin worker cannot start: {0}")]
    System(#[from] io::Error),
    /// The connection failed.
    #[error("the plugin worker lost its connection: {0}")]
    Connection(#[from] FrameError),
    /// Python failed outside of a call.
    #[error("the plugin worker's Python failed: {0}")]
    Python(#[from] PyErr),
}

/// How soon a call that waited for this worker's start comes after its greeting: a way there and back takes a tenth of it.
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

type Sender = Arc<Mutex<UnixStream>>;

/// Serves calls until the service closes the connection.
pub fn run() -> Result<(), WorkerError> {
    let environment = WorkerEnvironment::of_process();
    limit_memory(environment.memory)?;
    let receiver = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    rustix::stdio::dup2_stdin(File::open("/dev/null")?).map_err(io::Error::from)?;
    end_with_the_service(&receiver)?;
    let sender: Sender = Arc::new(Mutex::new(receiver.try_clone()?));
    // A frame's lengths and what follows them by one read.
    let mut receiver = BufReader::new(receiver);
    Python::initialize();
    let host = match Python::attach(|python| host(python, &environment, &sender)) {
        Ok(host) => host,
        Err(error) => {
            let reason = serde_json::json!({"kind": "failed", "message": error.to_string()});
            send(&sender, reason.to_string(), Bytes::new())?;
            process::exit(NOT_STARTED);
        }
    };
    send(&sender, serde_json::json!({"kind": "ready", "pid": process::id()}).to_string(), Bytes::new())?;
    let own_id = process::id();
    let mut is_warm = false;
    loop {
        if !is_warm && !is_waited_for(receiver.get_ref()) {
            Python::attach(|python| host.bind(python).call_method0("warm_up").map(drop))?;
            is_warm = true;
        }
        let frame = match Frame::read(&mut receiver) {
            Ok(frame) => frame,
            // The service recycles this worker, or is gone. No clean-up: plugins may hang in theirs.
            Err(FrameError::Ended) => process::exit(0),
            Err(error) => return Err(error.into()),
        };
        let (header, payload) = Python::attach(|python| call(python, &host, &frame))?;
        if process::id() != own_id {
            // A plugin called fork() and both came back: only the original answers.
            process::exit(STRAY_COPY);
        }
        send(&sender, header, payload)?;
    }
}

fn limit_memory(bytes: u64) -> io::Result<()> {
    let to = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    setrlimit(Resource::Data, to(bytes))?;
    setrlimit(Resource::As, to(bytes.saturating_add(ADDRESS_SLACK)))?;
    // A crash is an answer, not something to keep gigabytes of.
    setrlimit(Resource::Core, to(0))?;
    Ok(())
}

/// Ends this process when the service's end of the connection closes, even while a plugin runs or hangs.
fn end_with_the_service(connection: &UnixStream) -> io::Result<()> {
    let watched = connection.try_clone()?;
    let watch = move || {
        loop {
            let mut descriptors = [PollFd::new(&watched, PollFlags::RDHUP)];
            let ended = poll(&mut descriptors, None).is_ok()
                && descriptors[0].revents().intersects(PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR);
            if ended {
                process::exit(0);
            }
        }
    };
    std::thread::Builder::new().name("connection".to_owned()).stack_size(64 * 1024).spawn(watch)?;
    Ok(())
}

/// Whether a call comes at once: it needs one plugin, and not that the others are loaded before it.
fn is_waited_for(connection: &UnixStream) -> bool {
    let mut descriptors = [PollFd::new(connection, PollFlags::IN)];
    poll(&mut descriptors, Some(&AT_ONCE)).is_ok_and(|ready| ready > 0)
}

fn send(to: &Sender, header: String, payload: Bytes) -> Result<(), FrameError> {
    let frame = Frame { header, payload };
    let frame = if frame.fits() { frame } else { too_large() };
    frame.write(&mut *to.lock().unwrap_or_else(PoisonError::into_inner))
}

fn too_large() -> Frame {
    let header = serde_json::json!({"kind": "error", "error": "too_large", "message": "the answer is too large"});
    Frame { header: header.to_string(), payload: Bytes::new() }
}

/// Prepares the interpreter: where packages are found, where logs go, which plugins there are.
fn host(python: Python<'_>, environment: &WorkerEnvironment, sender: &Sender) -> PyResult<Py<PyAny>> {
    let system = python.import("sys")?;
    if let Some(home) = &environment.home {
        let version = system.getattr("version_info")?;
        let (major, minor): (u8, u8) = (version.getattr("major")?.extract()?, version.getattr("minor")?.extract()?);
        let packages = home.join(format!("lib/python{major}.{minor}/site-packages"));
        python.import("site")?.call_method1("addsitedir", (packages.as_os_str(),))?;
        // What plugins start by `sys.executable` should be Python, not this program.
        system.setattr("executable", home.join("bin/python3").as_os_str())?;
    }
    let path = system.getattr("path")?;
    for directory in environment.path.iter().rev().filter(|directory| directory.as_path() != Path::new("")) {
        // As text: Python imports from no other kind of path.
        path.call_method1("insert", (0, directory.as_os_str()))?;
    }
    let own_id = process::id();
    let to = sender.clone();
    let emit = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| -> PyResult<()> {
        let line: String = arguments.get_item(0)?.extract()?;
        if process::id() == own_id {
            // A connection that ended ends the process elsewhere.
            let _ = send(&to, line, Bytes::new());
        }
        Ok(())
    };
    let emit = PyCFunction::new_closure(python, None, None, emit)?;
    let host = python.import("docket_plugins.host")?.getattr("Host")?.call1((emit,))?;
    Ok(host.unbind())
}

fn call(python: Python<'_>, host: &Py<PyAny>, frame: &Frame) -> PyResult<(String, Bytes)> {
    let payload = PyBytes::new(python, &frame.payload);
    let answer = host.bind(python).call_method1("call", (frame.header.as_str(), payload))?;
    let (header, payload): (String, Bound<'_, PyBytes>) = answer.extract()?;
    Ok((header, Bytes::copy_from_slice(payload.as_bytes())))
}
