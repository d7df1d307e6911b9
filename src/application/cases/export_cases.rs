//! Exports cases: page by page in the order of their ids, so that memory stays the same however many there are.

use std::io::{self, Write};
use std::sync::Arc;

use docket_domain::case::State;
use docket_domain::ids::TenantId;

use crate::application::bulk::format::Format;
use crate::application::bulk::written::CaseWriter;
use crate::application::ports::{BulkStore, StoreError};

/// Cases read at once.
const PAGE: u32 = 500;

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The sink does not take any more.
    #[error("cannot write the cases")]
    Write(#[from] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Exports cases.
#[derive(Clone)]
pub struct ExportCases {
    /// Where they are.
    pub store: Arc<dyn BulkStore>,
}

impl ExportCases {
    /// Writes every case of the tenant in one of `states` (all states when empty), whatever its confidentiality; returns
    /// their number. Each page shows its cases at one moment; a case changed while the export runs appears once, in its
    /// old or its new form.
    pub async fn run<W: Write + Send>(
        &self,
        tenant: TenantId,
        states: &[State],
        format: Format,
        sink: W,
        progressed: &mut (dyn FnMut(u64) + Send),
    ) -> Result<u64, ExportError> {
        let mut writer = CaseWriter::new(sink, format)?;
        let (mut after, mut count) = (None, 0);
        loop {
            let page = self.store.page(tenant, states, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for case in &page {
                writer.write(case)?;
            }
            count += page.len() as u64;
            progressed(count);
        }
        writer.flush()?;
        Ok(count)
    }
}
