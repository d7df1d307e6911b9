//! One loaded model: token numbers in, token vectors out, a batch at a time.

use std::path::Path;
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;

use super::EmbeddingSettings;
use super::files::ModelFiles;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The library can be loaded once in a process; the first path wins.
static RUNTIME: OnceLock<Result<Environment, String>> = OnceLock::new();

fn runtime(library: &Path) -> Result<&'static Environment, Failure> {
    let load = || {
        let builder = ort::init_from(library).map_err(|error| error.to_string())?;
        builder.with_name("docket").with_telemetry(false).build().map_err(|error| error.to_string())
    };
    RUNTIME.get_or_init(load).as_ref().map_err(|reason| reason.clone().into())
}

/// A session with its scratch memory.
pub(super) struct Encoder {
    session: Session,
    ids: Vec<i32>,
    mask: Vec<i32>,
}

impl Encoder {
    /// Loads the graph: about a second, and about 90 MB.
    pub(super) fn load(files: &ModelFiles, settings: &EmbeddingSettings) -> Result<Self, Failure> {
        let runtime = runtime(&files.library)?;
        let threads = match settings.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let plain = |error: ort::Error<ort::session::builder::SessionBuilder>| -> Failure { error.to_string().into() };
        let mut builder = Session::builder(runtime)?
            .with_intra_threads(threads)
            .map_err(plain)?
            // Threads that spin while they wait would take the processor from the requests and the database.
            .with_intra_op_spinning(false)
            .map_err(plain)?;
        Ok(Self { session: builder.commit_from_file(files.graph())?, ids: Vec::new(), mask: Vec::new() })
    }

    /// Computes one batch and hands each text's token vectors (padding included), their number and their width to `take`.
    pub(super) fn run(
        &mut self,
        batch: &[&[i32]],
        mut take: impl FnMut(usize, &[f32], usize, usize),
    ) -> Result<(), Failure> {
        let longest = batch.iter().map(|ids| ids.len()).max().unwrap_or(0);
        self.ids.clear();
        self.mask.clear();
        for ids in batch {
            self.ids.extend_from_slice(ids);
            self.mask.resize(self.ids.len(), 1);
            self.ids.resize(self.ids.len() + longest - ids.len(), 0);
            self.mask.resize(self.ids.len(), 0);
        }
        let shape = [batch.len(), longest];
        let outputs = self.session.run(ort::inputs![
            "input_ids" => TensorRef::from_array_view((shape, self.ids.as_slice()))?,
            "attention_mask" => TensorRef::from_array_view((shape, self.mask.as_slice()))?,
        ])?;
        let (_, values) = outputs["token_vectors"].try_extract_tensor::<f32>()?;
        let per_text = values.len() / batch.len().max(1);
        let width = per_text / longest.max(1);
        for (index, (ids, values)) in batch.iter().zip(values.chunks_exact(per_text.max(1))).enumerate() {
            take(index, values, ids.len(), width);
        }
        Ok(())
    }
}
