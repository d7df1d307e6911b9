//! A local server of the S3 protocol (`moto`, from the development requirements), with a bucket `evidence`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Starts the server on a free port with a bucket, says where it is, ends with its standard input.
const SERVER: &str = "
import sys
from moto.server import ThreadedMotoServer
import boto3
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
url = f'http://{host}:{port}'
client = boto3.client('s3', endpoint_url=url, region_name='us-east-1', aws_access_key_id='key', aws_secret_access_key='secret')
client.create_bucket(Bucket='evidence')
print('at', url, flush=True)
sys.stdin.read()
server.stop()
";

/// A local server of the S3 protocol; it ends with this value.
pub struct S3Server {
    process: Child,
    /// Where it listens.
    pub endpoint: String,
}

impl S3Server {
    /// Starts it; none, with a message, when `moto` is not installed.
    pub fn start() -> Option<Self> {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
        let installed = Command::new(&python).args(["-c", "import moto.server, boto3"]).stderr(Stdio::null()).status();
        if !installed.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no S3 server here; `make venv` installs one (moto)");
            return None;
        }
        let mut command = Command::new(python);
        command.args(["-c", SERVER]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let endpoint = lines.map_while(Result::ok).find_map(|line| Some(line.strip_prefix("at ")?.to_owned()));
        Some(Self { process, endpoint: endpoint.expect("the S3 server starts") })
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
